//! Workflows that start, follow, signal and cancel other workflows.

use everloop::client::{ResultError, WorkflowStatus};
use everloop::data::RetryPolicy;
use everloop::workflow::{ChildCancellationType, ChildFailure, ParentClosePolicy, external_workflow};
use everloop::{prelude::*, testing::Replayer};

use super::world::{World, count, event, everywhere, run};

everywhere! {
    a_child_gives_its_output,
    a_handle_signals_its_child_and_waits_for_it,
    an_id_in_use_is_an_error_of_the_start,
    each_type_of_cancellation,
    children_end_with_their_parent_by_its_policy,
    a_hundred_children_at_once,
    a_tree_ten_deep,
    a_child_that_continues_as_new_ends_once,
    a_child_is_retried,
    another_workflow_is_signalled_in_order_and_cancelled,
    nobody_to_signal;
    waiting: the_ways_a_child_ends, a_timeout_cancels_the_child
}

/// Adds up signals until it is told to end.
#[workflow]
#[derive(Default)]
struct Adds {
    sum: State<u32>,
    is_over: State<bool>,
}

#[workflow]
impl Adds {
    #[run]
    async fn run(&self, start: u32) -> WorkflowResult<u32> {
        self.sum.update(|sum| *sum += start);
        wait_condition(|| self.is_over.get()).await?;
        Ok(self.sum.get())
    }

    #[signal]
    fn add(&self, number: u32) {
        self.sum.update(|sum| *sum = *sum * 10 + number);
    }

    #[signal]
    fn end(&self) {
        self.is_over.set(true);
    }
}

#[workflow]
#[derive(Default)]
struct Doubles {}

#[workflow]
impl Doubles {
    #[run]
    async fn run(&self, number: u32) -> WorkflowResult<u32> {
        Ok(number * 2)
    }
}

#[workflow]
#[derive(Default)]
struct Sums {}

#[workflow]
impl Sums {
    /// The sum of the doubles of all numbers below.
    #[run]
    async fn run(&self, below: u32) -> WorkflowResult<u32> {
        let children = (0..below).map(|number| Doubles::run(number).into_future());
        let mut sum = 0;
        for double in join_all(children).await {
            sum += double?;
        }
        Ok(sum)
    }
}

async fn a_child_gives_its_output(world: World) {
    let worker = world.worker().workflow::<Sums>().workflow::<Doubles>();
    run(worker, async {
        let handle = world.client.start(Sums::run(2)).id(world.id("sums")).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 2);
        let history = handle.history().await.unwrap();
        assert_eq!(count(&history, "ChildWorkflowExecutionCompleted"), 2);
        Replayer::new().workflow::<Sums>().replay(&history).unwrap();
    })
    .await;
}

async fn a_hundred_children_at_once(world: World) {
    let worker = world.worker().workflow::<Sums>().workflow::<Doubles>();
    run(worker, async {
        let sum = world.client.execute(Sums::run(100)).id(world.id("sums")).await.unwrap();
        assert_eq!(sum, 9_900);
    })
    .await;
}

#[workflow]
#[derive(Default)]
struct Directs {}

#[workflow]
impl Directs {
    #[run]
    async fn run(&self, id: String) -> WorkflowResult<u32> {
        let child = Adds::run(1).id(id.clone()).summary("adds").start().await?;
        assert_eq!((child.id(), child.run_id().is_some()), (id.as_str(), true));
        child.add(2).await?;
        child.add(3).await?;
        child.end().await?;
        Ok(child.result().await?)
    }
}

async fn a_handle_signals_its_child_and_waits_for_it(world: World) {
    run(world.worker().workflow::<Directs>().workflow::<Adds>(), async {
        let handle = world.client.start(Directs::run(world.id("child"))).id(world.id("directs")).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 123);
        Replayer::new().workflow::<Directs>().replay(&handle.history().await.unwrap()).unwrap();
        let child = world.client.workflow_handle::<Adds>(world.id("child")).describe().await.unwrap();
        assert_eq!(child.status(), WorkflowStatus::Completed);
    })
    .await;
}

#[workflow]
#[derive(Default)]
struct StartsOne {}

#[workflow]
impl StartsOne {
    #[run]
    async fn run(&self, id: String) -> WorkflowResult<String> {
        let started = Adds::run(1).id(id.clone()).start().await;
        let failure = started.expect_err("the id is in use");
        assert!(failure.is_already_started() && failure.workflow_id() == id, "{failure:?}");
        Ok(failure.to_string())
    }
}

async fn an_id_in_use_is_an_error_of_the_start(world: World) {
    run(world.worker().workflow::<StartsOne>().workflow::<Adds>(), async {
        let id = world.id("taken");
        let taken = world.client.start(Adds::run(1)).id(&id).await.unwrap();
        let text = world.client.execute(StartsOne::run(id.clone())).id(world.id("starts")).await.unwrap();
        assert!(text.contains(&format!("the workflow id `{id}` is in use")), "{text}");
        taken.end().await.unwrap();
        taken.result().await.unwrap();
    })
    .await;
}

#[workflow]
#[derive(Default)]
struct Ends {}

#[workflow]
impl Ends {
    #[run]
    async fn run(&self, how: String) -> WorkflowResult<()> {
        match how.as_str() {
            "fails" => Err(WorkflowError::new("no luck").type_name("Unlucky")),
            _ => {
                cancelled().await;
                Err(workflow::Cancelled.into())
            }
        }
    }
}

#[workflow]
#[derive(Default)]
struct Watches {}

#[workflow]
impl Watches {
    #[run]
    async fn run(&self, how: String, id: String) -> WorkflowResult<(String, bool, bool)> {
        let call = Ends::run(how.clone()).id(id);
        let call = if how == "times out" { call.run_timeout(Duration::from_secs(1)) } else { call };
        let child = call.start().await?;
        let failure: ChildFailure = child.result().await.expect_err("it does not complete");
        assert_eq!(failure.workflow_type(), "Ends");
        assert_eq!(failure.timeout().is_some(), how == "times out");
        assert_eq!(failure.type_name(), (how == "fails").then_some("Unlucky"));
        Ok((failure.message().to_owned(), failure.is_cancelled(), failure.is_terminated()))
    }
}

async fn the_ways_a_child_ends(world: World) {
    run(world.worker().workflow::<Watches>().workflow::<Ends>(), async {
        for (how, message, is_cancelled, is_terminated) in [
            ("fails", "no luck", false, false),
            ("cancelled", "the child workflow was cancelled", true, false),
            ("terminated", "the child workflow was terminated", false, true),
            ("times out", "the child workflow timed out", false, false),
        ] {
            let id = world.id(&how.replace(' ', "-"));
            let call = Watches::run(how.to_owned(), id.clone());
            let watches = world.client.start(call).id(world.id(&format!("watches-{id}"))).await.unwrap();
            event(&watches, "ChildWorkflowExecutionStarted").await;
            let child = world.client.workflow_handle::<Ends>(&id);
            match how {
                "cancelled" => child.cancel().await.unwrap(),
                "terminated" => child.terminate("enough").await.unwrap(),
                _ => {}
            }
            let seen = watches.result().await.unwrap();
            assert_eq!(seen, (message.to_owned(), is_cancelled, is_terminated), "{how}");
        }
    })
    .await;
}

#[workflow]
#[derive(Default)]
struct Cancels {}

#[workflow]
impl Cancels {
    /// Cancels a child in each of the four ways, and tells which had ended when the workflow went on.
    #[run]
    async fn run(&self, id: String) -> WorkflowResult<Vec<bool>> {
        use ChildCancellationType::*;
        let mut cancelled = Vec::new();
        for (number, cancellation) in
            [WaitCancellationCompleted, WaitCancellationRequested, TryCancel, Abandon].into_iter().enumerate()
        {
            let call = Ends::run("cancelled".to_owned()).id(format!("{id}-{number}")).cancellation_type(cancellation);
            let child = call.start().await?;
            child.cancel();
            cancelled.push(child.result().await.err().is_some_and(|failure| failure.is_cancelled()));
        }
        Ok(cancelled)
    }
}

async fn each_type_of_cancellation(world: World) {
    run(world.worker().workflow::<Cancels>().workflow::<Ends>(), async {
        let id = world.id("child");
        let handle = world.client.start(Cancels::run(id.clone())).id(world.id("cancels")).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), [true; 4]);
        let history = handle.history().await.unwrap();
        assert_eq!(count(&history, "RequestCancelExternalWorkflowExecutionInitiated"), 3, "abandoning asks nobody");
        Replayer::new().workflow::<Cancels>().replay(&history).unwrap();
        // The end of the parent ended those that it did not wait for, unless their cancellation came first.
        for number in 0..4 {
            let child = world.client.workflow_handle::<Ends>(format!("{id}-{number}"));
            assert!(child.result().await.is_err());
        }
    })
    .await;
}

#[workflow]
#[derive(Default)]
struct Limits {}

#[workflow]
impl Limits {
    #[run]
    async fn run(&self) -> WorkflowResult<bool> {
        Ok(timeout(Duration::from_secs(1), Ends::run("cancelled".to_owned()).into_future()).await.is_err())
    }
}

async fn a_timeout_cancels_the_child(world: World) {
    run(world.worker().workflow::<Limits>().workflow::<Ends>(), async {
        let handle = world.client.start(Limits::run()).id(world.id("limits")).await.unwrap();
        assert!(handle.result().await.unwrap());
        let history = handle.history().await.unwrap();
        assert_eq!(count(&history, "RequestCancelExternalWorkflowExecutionInitiated"), 1);
    })
    .await;
}

#[workflow]
#[derive(Default)]
struct Leaves {}

#[workflow]
impl Leaves {
    #[run]
    async fn run(&self, id: String) -> WorkflowResult<()> {
        for policy in [ParentClosePolicy::Terminate, ParentClosePolicy::RequestCancel, ParentClosePolicy::Abandon] {
            drop(Adds::run(1).id(format!("{id}-{policy:?}")).parent_close_policy(policy).start().await?);
        }
        Ok(())
    }
}

async fn children_end_with_their_parent_by_its_policy(world: World) {
    run(world.worker().workflow::<Leaves>().workflow::<Adds>(), async {
        let id = world.id("child");
        world.client.execute(Leaves::run(id.clone())).id(world.id("leaves")).await.unwrap();
        let child = |policy: &str| world.client.workflow_handle::<Adds>(format!("{id}-{policy}"));
        let terminated = child("Terminate").result().await.unwrap_err();
        assert!(matches!(terminated, ResultError::Terminated { .. }), "{terminated:?}");
        let cancelled = child("RequestCancel").result().await.unwrap_err();
        assert!(matches!(cancelled, ResultError::Cancelled { .. }), "{cancelled:?}");
        child("Abandon").end().await.unwrap();
        assert_eq!(child("Abandon").result().await.unwrap(), 1);
    })
    .await;
}

#[workflow]
#[derive(Default)]
struct Tree {}

#[workflow]
impl Tree {
    #[run]
    async fn run(&self, depth: u32) -> WorkflowResult<u32> {
        Ok(if depth == 0 { 0 } else { 1 + Tree::run(depth - 1).await? })
    }
}

async fn a_tree_ten_deep(world: World) {
    run(world.worker().workflow::<Tree>(), async {
        assert_eq!(world.client.execute(Tree::run(10)).id(world.id("tree")).await.unwrap(), 10);
    })
    .await;
}

#[workflow]
#[derive(Default)]
struct Goes {}

#[workflow]
impl Goes {
    #[run]
    async fn run(&self, left: u32) -> WorkflowResult<String> {
        match left {
            0 => Ok("arrived".to_owned()),
            _ => continue_as_new(Self::run(left - 1)).await,
        }
    }
}

#[workflow]
#[derive(Default)]
struct Follows {}

#[workflow]
impl Follows {
    #[run]
    async fn run(&self, id: String) -> WorkflowResult<String> {
        Ok(Goes::run(3).id(id).await?)
    }
}

async fn a_child_that_continues_as_new_ends_once(world: World) {
    run(world.worker().workflow::<Follows>().workflow::<Goes>(), async {
        let handle = world.client.start(Follows::run(world.id("goes"))).id(world.id("follows")).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "arrived");
        assert_eq!(count(&handle.history().await.unwrap(), "ChildWorkflowExecutionCompleted"), 1);
    })
    .await;
}

#[workflow]
#[derive(Default)]
struct Tries {}

#[workflow]
impl Tries {
    #[run]
    async fn run(&self) -> WorkflowResult<u32> {
        match workflow::info().attempt {
            attempt @ 3.. => Ok(attempt),
            _ => Err(WorkflowError::new("not yet")),
        }
    }
}

#[workflow]
#[derive(Default)]
struct Insists {}

#[workflow]
impl Insists {
    #[run]
    async fn run(&self) -> WorkflowResult<u32> {
        let policy = RetryPolicy::new().initial_interval(Duration::from_millis(10)).maximum_attempts(5);
        Ok(Tries::run().retry_policy(policy).await?)
    }
}

async fn a_child_is_retried(world: World) {
    run(world.worker().workflow::<Insists>().workflow::<Tries>(), async {
        assert_eq!(world.client.execute(Insists::run()).id(world.id("insists")).await.unwrap(), 3);
    })
    .await;
}

#[workflow]
#[derive(Default)]
struct Writes {}

#[workflow]
impl Writes {
    #[run]
    async fn run(&self, id: String, how: String) -> WorkflowResult<()> {
        let other = external_workflow::<Adds>(id);
        if how == "cancel" {
            return other.cancel().await;
        }
        // All three leave in one task.
        for sent in join_all([other.add(1), other.add(2), other.add(3)].map(IntoFuture::into_future)).await {
            sent?;
        }
        Ok(())
    }
}

async fn another_workflow_is_signalled_in_order_and_cancelled(world: World) {
    run(world.worker().workflow::<Writes>().workflow::<Adds>(), async {
        let id = world.id("adds");
        let adds = world.client.start(Adds::run(0)).id(&id).await.unwrap();
        let call = Writes::run(id.clone(), "signal".to_owned());
        let writes = world.client.start(call).id(world.id("writes")).await.unwrap();
        writes.result().await.unwrap();
        Replayer::new().workflow::<Writes>().replay(&writes.history().await.unwrap()).unwrap();
        let signals = adds.history().await.unwrap();
        assert_eq!(count(&signals, "WorkflowExecutionSignaled"), 3);
        adds.end().await.unwrap();
        let sum = adds.result().await.unwrap();
        // Our engine delivers signals of one task in the order of their commands.
        let in_order = sum == 123;
        assert!(in_order || (world.target.is_reference() && [132, 213, 231, 312, 321].contains(&sum)), "{sum}");

        let adds = world.client.start(Adds::run(0)).id(&id).await.unwrap();
        let call = Writes::run(id, "cancel".to_owned());
        world.client.execute(call).id(world.id("cancels")).await.unwrap();
        assert!(matches!(adds.result().await.unwrap_err(), ResultError::Cancelled { .. }));
    })
    .await;
}

async fn nobody_to_signal(world: World) {
    run(world.worker().workflow::<Writes>(), async {
        for how in ["signal", "cancel"] {
            let call = Writes::run(world.id("nobody"), how.to_owned());
            let failed = world.client.execute(call).id(world.id(how)).await.unwrap_err();
            assert!(failed.to_string().contains("external workflow execution not found"), "{failed}");
        }
    })
    .await;
}
