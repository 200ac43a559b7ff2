//! Timers, limits, and other uses of time.

use everloop::client::History;
use everloop::prelude::*;

use super::{LONG, SHORT};
use crate::recorded::stage::{Stage, recordings};

recordings! { timers: Timers }

#[workflow]
#[derive(Default)]
struct Timers;

#[workflow]
impl Timers {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<String>> {
        let mut seen = Vec::new();
        sleep(SHORT).summary("the first one").await?;
        sleep(Duration::ZERO).await?;
        let begun = workflow::now();
        sleep_until(begun + SHORT).await?;
        // A time that has passed.
        sleep_until(begun).await?;

        // The dropped timer is cancelled.
        seen.push(select! {
            ended = sleep(LONG) => { ended?; "the long one".to_owned() }
            ended = sleep(SHORT) => { ended?; "the short one".to_owned() }
        });
        seen.push(format!("in time: {}", timeout(LONG, sleep(SHORT)).await.is_ok()));
        seen.push(format!("in time: {}", timeout(SHORT, sleep(LONG)).await.is_ok()));

        // Started and dropped within one task: it only uses up an id.
        select! {
            ended = sleep(LONG) => ended?,
            () = yield_now() => {}
        }

        // Both at once, for a time that depends on the run.
        let (one, other) = join!(sleep(Duration::from_millis(workflow::random_range(10..100))), sleep(SHORT));
        one?;
        other?;
        seen.push(format!("{} {} {:?}", workflow::uuid(), workflow::random::<bool>(), workflow::random::<f64>()));
        seen.push(format!("{:?}", workflow::now().duration_since(begun)?));
        Ok(seen)
    }
}

async fn timers(stage: Stage) -> History {
    stage
        .with_worker(async {
            let handle = stage.client.start(Timers::run()).id(&stage.id).await.unwrap();
            let seen = handle.result().await.unwrap();
            assert_eq!(seen[..3], ["the short one", "in time: true", "in time: false"]);
            handle.history().await.unwrap()
        })
        .await
}
