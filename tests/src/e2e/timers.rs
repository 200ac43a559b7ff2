//! Durable timers.

use everloop::prelude::*;

use super::world::{World, count, everywhere, run};

everywhere! {
    ; waiting: timers_fire_when_they_are_due, limits_pass_or_are_kept, the_first_of_two_timers_cancels_the_other
}

#[workflow]
#[derive(Default)]
struct Waits;

#[workflow]
impl Waits {
    /// Elapsed time by the workflow's own clock.
    #[run]
    async fn run(&self, wait: Duration) -> WorkflowResult<Duration> {
        let begun = workflow::now();
        sleep(wait).summary("the first one").await?;
        sleep_until(workflow::now() + wait).await?;
        // Both are short, and each is a timer.
        sleep(Duration::ZERO).await?;
        sleep_until(begun).await?;
        Ok(workflow::now().duration_since(begun)?)
    }
}

async fn timers_fire_when_they_are_due(world: World) {
    let wait = world.wait();
    run(world.worker().workflow::<Waits>(), async {
        let handle = world.client.start(Waits::run(wait)).await.unwrap();
        let waited = handle.result().await.unwrap();
        assert!(waited >= 2 * wait, "{waited:?}");
        world.assert_skipped(2 * wait);

        let history = handle.history().await.unwrap();
        let timers: Vec<_> = history.event_names().filter(|name| name.starts_with("Timer")).collect();
        assert_eq!(timers, ["TimerStarted", "TimerFired"].repeat(4), "{}", history.timeline());
    })
    .await;
}

#[workflow]
#[derive(Default)]
struct Limits;

#[workflow]
impl Limits {
    #[run]
    async fn run(&self, wait: Duration) -> WorkflowResult<(bool, bool, u32)> {
        let is_kept = timeout(100 * wait, sleep(wait)).await.is_ok();
        let is_passed = timeout(wait, sleep(100 * wait)).await.is_err();
        // A future that is ready at once needs no timer.
        let at_once = timeout(wait, async { 5 }).await?;
        Ok((is_kept, is_passed, at_once))
    }
}

async fn limits_pass_or_are_kept(world: World) {
    run(world.worker().workflow::<Limits>(), async {
        let handle = world.client.start(Limits::run(world.wait())).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), (true, true, 5));
        let history = handle.history().await.unwrap();
        // One timer of each pair fires and one is cancelled.
        for (name, number) in [("TimerStarted", 4), ("TimerFired", 2), ("TimerCanceled", 2)] {
            assert_eq!(count(&history, name), number, "{}", history.timeline());
        }
        world.assert_skipped(2 * world.wait());
    })
    .await;
}

#[workflow]
#[derive(Default)]
struct Races;

#[workflow]
impl Races {
    #[run]
    async fn run(&self, wait: Duration) -> WorkflowResult<String> {
        let winner = select! {
            ended = sleep(100 * wait) => { ended?; "the long one" }
            ended = sleep(wait) => { ended?; "the short one" }
        };
        Ok(winner.to_owned())
    }
}

async fn the_first_of_two_timers_cancels_the_other(world: World) {
    run(world.worker().workflow::<Races>(), async {
        let handle = world.client.start(Races::run(world.wait())).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "the short one");
        let history = handle.history().await.unwrap();
        let lines: Vec<_> = history.timeline().lines().map(|line| line[18..].to_owned()).collect();
        assert!(lines.iter().any(|line| line.starts_with("TimerFired") && line.ends_with("timer 2")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("TimerCanceled") && line.ends_with("timer 1")), "{lines:#?}");
        world.assert_skipped(world.wait());
    })
    .await;
}
