//! Calls are small enough for the two megabytes of stack that a test thread has: unoptimized code keeps several copies of every
//! future that a test awaits.

use everloop::data::Payloads;
use everloop::worker::WorkerError;
use everloop::{ActivityResult, Client, Worker, activity};

#[activity]
async fn nothing() -> ActivityResult<()> {
    Ok(())
}

#[tokio::test]
async fn the_futures_of_calls_are_small() {
    let client = Client::connect("memory:").await.unwrap();
    let handle = client.untyped_handle("it");
    let worker = || Worker::builder(&client, "it").activity(nothing).build().unwrap();
    let sizes = [
        ("connect", size_of_val(&Client::connect("memory:"))),
        ("describe", size_of_val(&handle.describe())),
        ("history", size_of_val(&handle.history())),
        ("cancel", size_of_val(&handle.cancel())),
        ("signal", size_of_val(&handle.signal("it", Payloads::new()))),
        ("query", size_of_val(&handle.query::<u32>("it", Payloads::new()))),
        ("update", size_of_val(&handle.update::<u32>("it", Payloads::new()))),
        ("result", size_of_val(&handle.result::<u32>())),
        ("run", size_of_val(&worker().run())),
        ("run_until", size_of_val(&worker().run_until(async { Ok::<_, WorkerError>(()) }))),
    ];
    let large: Vec<_> = sizes.into_iter().filter(|(_, size)| *size > 4096).collect();
    assert!(large.is_empty(), "{large:?}");
}
