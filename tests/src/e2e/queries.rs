//! Queries see the settled state, at any time.

use everloop::client::{QueryError, ResultError};
use everloop::data::Payloads;
use everloop::prelude::*;

use super::world::{World, everywhere, run};

everywhere! {
    query_sees_earlier_effects,
    query_sees_cancellation_sent_before,
    query_of_closed_run_works_with_and_without_cache,
    after_every_kind_of_end,
    before_there_is_a_worker,
    query_that_writes_fails,
    what_it_waits_for,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Status {
    #[default]
    Pending,
    Paid {
        cents: u64,
    },
    Cancelled,
}

#[workflow]
#[derive(Default)]
struct Order {
    status: State<Status>,
    looks: State<u32>,
}

#[workflow]
impl Order {
    #[run]
    async fn run(&self) -> WorkflowResult<Status> {
        let is_paid = |status: &Status| matches!(status, Status::Paid { .. });
        if timeout(Duration::from_secs(3600), self.status.wait(is_paid)).await?.is_err() {
            self.status.set(Status::Cancelled);
        }
        if self.status.get() == (Status::Paid { cents: 0 }) {
            return Err(WorkflowError::new("nothing was paid"));
        }
        Ok(self.status.get())
    }

    #[signal]
    fn pay(&self, cents: u64) {
        self.status.set(Status::Paid { cents });
    }

    #[query]
    fn status(&self) -> Status {
        self.status.get()
    }

    #[query]
    fn share(&self, parts: u64) -> WorkflowResult<u64> {
        match self.status.get() {
            Status::Paid { cents } => Ok(cents / parts),
            status => Err(WorkflowError::new(format!("{status:?}")).type_name("NotPaid")),
        }
    }

    #[query]
    fn look(&self) -> u32 {
        look(&self.looks)
    }
}

/// The macro finds a write in a query, but not one inside a called function.
fn look(looks: &State<u32>) -> u32 {
    looks.add(1)
}

async fn order(world: &World) -> OrderHandle {
    world.client.start(Order::run()).await.unwrap()
}

async fn query_sees_earlier_effects(world: World) {
    run(world.worker().workflow::<Order>(), async {
        let handle = order(&world).await;
        assert_eq!(handle.status().await.unwrap(), Status::Pending);
        let Err(QueryError::Failed(failure)) = handle.share(2).await else { panic!("it is not paid") };
        assert_eq!(failure.to_string(), "NotPaid: Pending");
        handle.pay(10).await.unwrap();
        assert_eq!(handle.share(4).await.unwrap(), 2);
        // A panic in a query affects this query only.
        let Err(QueryError::Failed(failure)) = handle.share(0).await else { panic!("nothing is divided by zero") };
        assert!(failure.to_string().contains("divide by zero"), "{failure}");
        assert_eq!(handle.result().await.unwrap(), Status::Paid { cents: 10 });
    })
    .await;
}

async fn query_sees_cancellation_sent_before(world: World) {
    run(world.worker().workflow::<Order>(), async {
        let handle = order(&world).await;
        assert_eq!(handle.status().await.unwrap(), Status::Pending);
        handle.cancel().await.unwrap();
        assert_eq!(handle.status().await.unwrap(), Status::Cancelled);
        assert_eq!(handle.result().await.unwrap(), Status::Cancelled);

        // The same for a workflow without a completed task.
        let handle = order(&world).await;
        handle.cancel().await.unwrap();
        assert_eq!(handle.status().await.unwrap(), Status::Cancelled);
    })
    .await;
}

async fn query_of_closed_run_works_with_and_without_cache(world: World) {
    let handle = run(world.worker().workflow::<Order>(), async {
        let handle = order(&world).await;
        handle.pay(10).await.unwrap();
        handle.result().await.unwrap();
        assert_eq!(handle.share(5).await.unwrap(), 2);
        handle
    })
    .await;
    // Another worker has only the history.
    run(world.worker().workflow::<Order>().max_cached_workflows(0), async {
        assert_eq!(handle.status().await.unwrap(), Status::Paid { cents: 10 });
        let untyped = handle.untyped();
        assert_eq!(untyped.query::<u64>("share", Payloads::of(&2).unwrap()).await.unwrap(), 5);
    })
    .await;
}

async fn after_every_kind_of_end(world: World) {
    run(world.worker().workflow::<Order>(), async {
        let failed = order(&world).await;
        failed.pay(0).await.unwrap();
        assert!(matches!(failed.result().await, Err(ResultError::Failed(_))));
        assert_eq!(failed.status().await.unwrap(), Status::Paid { cents: 0 });

        let terminated = order(&world).await;
        assert_eq!(terminated.status().await.unwrap(), Status::Pending);
        terminated.terminate("over").await.unwrap();
        assert_eq!(terminated.status().await.unwrap(), Status::Pending);
    })
    .await;
}

async fn before_there_is_a_worker(world: World) {
    let handle = order(&world).await;
    handle.pay(7).await.unwrap();
    let asked = tokio::spawn(handle.status().into_future());
    // The worker starts only now. The query is delivered with the first task, or after it.
    let status = run(world.worker().workflow::<Order>(), asked).await.unwrap();
    assert_eq!(status.unwrap(), Status::Paid { cents: 7 });
}

async fn query_that_writes_fails(world: World) {
    run(world.worker().workflow::<Order>(), async {
        let handle = order(&world).await;
        let Err(QueryError::Failed(failure)) = handle.look().await else { panic!("it writes") };
        let text = failure.to_string();
        assert!(text.contains("the query `look`") && text.contains("queries.rs:"), "{text}");
        handle.pay(1).await.unwrap();
        handle.result().await.unwrap();
    })
    .await;
}

async fn what_it_waits_for(world: World) {
    run(world.worker().workflow::<Order>(), async {
        let handle = order(&world).await;
        let waits: String = handle.untyped().query("__stack_trace", Payloads::new()).await.unwrap();
        assert!(waits.contains("timer 1") && waits.contains("queries.rs:"), "{waits}");
        handle.terminate("seen enough").await.unwrap();
    })
    .await;
}
