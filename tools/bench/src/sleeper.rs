//! Workflows that only sleep.

use everloop::prelude::*;
use futures_util::future::try_join_all;

use crate::Error;
use crate::load::QUEUE;

/// Number of starts under way at the same time.
const AT_ONCE: usize = 100;

/// Sleeps for that long, then completes.
#[workflow]
#[derive(Default)]
pub(crate) struct Sleeper {}

#[workflow]
impl Sleeper {
    #[run]
    async fn run(&self, time: Duration) -> WorkflowResult<()> {
        sleep(time).await?;
        Ok(())
    }

    /// Returns once the timer has been started.
    #[query]
    fn sleeps(&self) -> bool {
        true
    }
}

pub(crate) fn worker(client: &Client) -> Result<Worker, Error> {
    Ok(Worker::builder(client, QUEUE).workflow::<Sleeper>().build()?)
}

/// Starts `count` sleepers, and returns their handles when all are asleep.
pub(crate) async fn put_to_sleep(client: &Client, count: usize, time: Duration) -> Result<Vec<SleeperHandle>, Error> {
    let lanes = (0..AT_ONCE.min(count)).map(|lane| async move {
        let mut asleep = Vec::new();
        for number in (lane..count).step_by(AT_ONCE) {
            let id = format!("sleeper-{number}");
            let handle = client.start(Sleeper::run(time)).id(id).task_queue(QUEUE).await?;
            handle.sleeps().await?;
            asleep.push(handle);
        }
        Ok::<_, Error>(asleep)
    });
    Ok(try_join_all(lanes).await?.into_iter().flatten().collect())
}
