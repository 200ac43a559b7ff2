//! Calls and handles that are iterated, stored, passed to functions, or sent between threads.

use everloop::prelude::*;

#[activity]
pub async fn double(n: u32) -> ActivityResult<u32> {
    Ok(n * 2)
}

#[workflow]
#[derive(Default)]
pub struct Doubling {}

#[workflow]
impl Doubling {
    #[run]
    async fn run(&self, n: u32) -> WorkflowResult<u32> {
        // The constructor is an ordinary function, and a binding may have its name.
        let running: Vec<_> = (0..n).map(double).map(|call| call.start()).collect();
        let mut sum = 0;
        for double in running {
            sum += double.await?;
        }
        let double = double(n).start_to_close_timeout(Duration::from_secs(1)).await?;
        // Calls from a helper function, and calls as arguments of one.
        Ok(sum + helper(double).await?)
    }
    #[signal]
    fn add(&self, _n: u32) {}
}

async fn helper(n: u32) -> WorkflowResult<u32> {
    Ok(double(n).await?)
}

struct Batch {
    handle: DoublingHandle,
    others: Vec<DoublingHandle>,
}

impl Clone for Batch {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), others: self.others.clone() }
    }
}

fn send<T: Send>(_: T) {}

fn client(client: Client) {
    send(double(3));
    send(Doubling::run(3));
    send(async move {
        let handle = client.start(Doubling::run(3)).signal(|it| it.add(4)).id("doubling").await.unwrap();
        handle.add(5).await.unwrap();
        handle.result().await
    });
}
