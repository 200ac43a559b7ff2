//! Facts about workflows that clients can read, and rules for workflow ids.

use everloop::client::{
    ExecuteError, History, ResultError, StartError, Untyped, WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
    WorkflowStatus,
};
use everloop::data::Payloads;
use everloop::{Client, WorkflowHandle, prelude::*, testing::Replayer};

use super::world::{World, event, everywhere, run, until};

everywhere! {
    a_description,
    a_history,
    lists_and_counts,
    untyped_handle_calls_by_name,
    an_id_is_taken_once,
    start_with_id_in_use_follows_conflict_policy,
    start_with_used_id_follows_reuse_policy,
    handle_refers_to_the_run_it_started,
    an_eager_start,
}

#[activity]
async fn pack(item: String) -> String {
    format!("packed {item}")
}

#[workflow]
#[derive(Default)]
struct Parcels {
    items: State<Vec<String>>,
    is_sent: State<bool>,
}

#[workflow]
impl Parcels {
    #[run]
    async fn run(&self, limit: usize) -> WorkflowResult<Vec<String>> {
        self.is_sent.wait(|is_sent| *is_sent).await?;
        if self.items.len() > limit {
            return Err(WorkflowError::new("too heavy"));
        }
        Ok(self.items.get())
    }

    #[signal]
    async fn add(&self, item: String) -> WorkflowResult<()> {
        let packed = pack(item).await?;
        self.items.push(packed);
        Ok(())
    }

    #[signal]
    fn send(&self) {
        self.is_sent.set(true);
    }

    #[query]
    fn items(&self) -> Vec<String> {
        self.items.get()
    }

    #[update]
    fn replace(&self, items: Vec<String>) -> usize {
        self.items.replace(items).len()
    }
}

fn worker(world: &World) -> everloop::worker::WorkerBuilder {
    world.worker().workflow::<Parcels>().activity(pack)
}

async fn a_description(world: World) {
    let hour = Duration::from_secs(3600);
    run(worker(&world), async {
        let start = world.client.start(Parcels::run(5)).id(world.id("parcel")).summary("a parcel for ann");
        let start = start.memo("customer", &"ann".to_owned()).memo("number", &5);
        let start = start.execution_timeout(3 * hour).run_timeout(2 * hour).task_timeout(Duration::from_secs(7));
        let handle = start.await.unwrap();
        // The first task is done: nothing is pending.
        assert!(handle.items().await.unwrap().is_empty());
        for described in [handle.describe().await.unwrap(), handle.untyped().describe().await.unwrap()] {
            assert_eq!(described.workflow_id(), world.id("parcel"));
            assert_eq!(Some(described.run_id()), handle.run_id());
            assert_eq!(described.workflow_type(), "Parcels");
            assert_eq!(described.task_queue(), world.queue());
            assert_eq!((described.status(), described.status().is_open()), (WorkflowStatus::Running, true));
            assert_eq!(described.static_summary().as_deref(), Some("a parcel for ann"));
            assert_eq!(described.memo("customer"), Some(Ok("ann".to_owned())));
            assert!(matches!(described.memo::<String>("number"), Some(Err(_))) && described.memo::<u8>("x").is_none());
            let limits = (described.execution_timeout(), described.run_timeout(), described.task_timeout());
            assert_eq!(limits, (Some(3 * hour), Some(2 * hour), Some(Duration::from_secs(7))));
            assert!(described.start_time().is_some() && described.close_time().is_none());
            assert_eq!(described.history_length(), 4);
            assert_eq!((described.pending_activities().count(), described.workflow_task_attempt()), (0, 0));
        }
        handle.send().await.unwrap();
        handle.result().await.unwrap();
        let described = handle.describe().await.unwrap();
        assert_eq!((described.status(), described.status().is_open()), (WorkflowStatus::Completed, false));
        assert!(described.close_time() >= described.start_time());
        assert_eq!(usize::try_from(described.history_length()), Ok(handle.history().await.unwrap().len()));
    })
    .await;
}

async fn a_history(world: World) {
    run(worker(&world), async {
        let handle = world.client.start(Parcels::run(5)).await.unwrap();
        handle.add("lamp".into()).await.unwrap();
        event(&handle, "ActivityTaskCompleted").await;
        assert_eq!(handle.items().await.unwrap(), ["packed lamp"]);
        handle.send().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), ["packed lamp"]);

        let history = handle.history().await.unwrap();
        assert_eq!(history, handle.untyped().history().await.unwrap());
        let of_run = world.client.workflow_handle_of_run::<Parcels>(handle.id(), handle.run_id().unwrap());
        assert_eq!(history, of_run.history().await.unwrap());
        assert_eq!((history.workflow_id(), Some(history.run_id())), (handle.id(), handle.run_id()));
        assert_eq!((history.workflow_type(), history.is_empty()), ("Parcels", false));
        let timeline = history.timeline();
        for text in ["WorkflowExecutionStarted         Parcels", "pack, id 1", "WorkflowExecutionSignaled        send"]
        {
            assert!(timeline.contains(text), "{timeline}");
        }
        // A history saved in a file can be replayed with today's code.
        let kept = History::from_bytes(&history.to_bytes()).unwrap();
        assert_eq!((kept.run_id(), kept.events()), (history.run_id(), history.events()));
        let replayer = Replayer::new().workflow::<Parcels>();
        replayer.replay(&kept).unwrap();
        replayer.replay_bytes(&history.to_bytes()).unwrap();
    })
    .await;
}

async fn lists_and_counts(world: World) {
    let filter = |more: &str| format!("TaskQueue = '{}'{more}", world.queue());
    let count = async |more: &str| world.client.count_workflows(filter(more)).await.unwrap();
    run(worker(&world), async {
        let mut handles = Vec::new();
        for number in 0..5 {
            let start = world.client.start(Parcels::run(5)).id(world.id(&number.to_string())).memo("number", &number);
            handles.push(start.await.unwrap());
        }
        handles[0].terminate("not this one").await.unwrap();
        handles[1].send().await.unwrap();
        handles[1].result().await.unwrap();
        // Some servers list runs with a delay.
        until(|| async { count(" AND ExecutionStatus = 'Completed'").await == 1 }).await;
        until(|| async { count(" AND ExecutionStatus = 'Terminated'").await == 1 }).await;
        until(|| async { count(" AND ExecutionStatus = 'Running'").await == 3 }).await;
        until(|| async { count("").await == 5 }).await;

        let mut list = world.client.list_workflows(filter("")).page_size(2);
        let mut found = Vec::new();
        while let Some(workflow) = list.next().await.unwrap() {
            assert_eq!((workflow.workflow_type(), workflow.task_queue()), ("Parcels", world.queue()));
            found.push((workflow.memo::<u32>("number").unwrap().unwrap(), workflow.status()));
        }
        // Latest start first; some servers do not order runs of the same instant.
        found.sort_unstable_by_key(|(number, _)| *number);
        let (running, ended) = (WorkflowStatus::Running, [WorkflowStatus::Terminated, WorkflowStatus::Completed]);
        assert_eq!(found, [(0, ended[0]), (1, ended[1]), (2, running), (3, running), (4, running)]);

        let one = world.client.list_workflows(format!("WorkflowId = '{}'", world.id("3"))).all().await.unwrap();
        assert_eq!(one.iter().map(|workflow| workflow.run_id()).collect::<Vec<_>>(), [handles[3].run_id().unwrap()]);
        let several = format!("WorkflowId IN ('{}', '{}')", world.id("2"), world.id("4"));
        assert_eq!(world.client.count_workflows(several).await.unwrap(), 2);
        for handle in &handles[2..] {
            handle.terminate("over").await.unwrap();
        }
    })
    .await;
}

async fn untyped_handle_calls_by_name(world: World) {
    let input = |value: &str| Payloads::of(&value.to_owned()).unwrap();
    run(worker(&world), async {
        let start = world.client.start_untyped("Parcels", Payloads::of(&1).unwrap()).id(world.id("parcel"));
        let handle = start.signal("add", input("lamp")).await.unwrap();
        until(|| async { handle.query::<Vec<String>>("items", Payloads::new()).await.unwrap() == ["packed lamp"] })
            .await;
        let new = Payloads::of(&["vase".to_owned()]).unwrap();
        assert_eq!(handle.update::<usize>("replace", new).await.unwrap(), 1);
        let update = handle.start_update::<usize>("replace", Payloads::of(&["cup"]).unwrap()).await.unwrap();
        assert_eq!(update.result().await.unwrap(), 1);
        handle.signal("send", Payloads::new()).await.unwrap();
        assert_eq!(handle.result::<Vec<String>>().await.unwrap(), ["cup"]);

        // The same workflow, by its id, with its type and without.
        let typed = world.client.workflow_handle::<Parcels>(world.id("parcel"));
        assert_eq!(typed.result().await.unwrap(), ["cup"]);
        let untyped: WorkflowHandle<Untyped> = world.client.untyped_handle(world.id("parcel"));
        assert_eq!(untyped.result::<(String,)>().await.unwrap(), ("cup".to_owned(),));
        assert_eq!(untyped.query::<Vec<String>>("items", Payloads::new()).await.unwrap(), ["cup"]);
        assert_eq!((untyped.run_id(), untyped.describe().await.unwrap().status()), (None, WorkflowStatus::Completed));
    })
    .await;
}

async fn an_id_is_taken_once(world: World) {
    let id = world.id("parcel");
    let first = world.client.start(Parcels::run(1)).id(&id).await.unwrap();
    let Err(StartError::AlreadyStarted { workflow_id, run_id, .. }) = world.client.start(Parcels::run(1)).id(&id).await
    else {
        panic!("the id is taken")
    };
    assert_eq!((&workflow_id, Some(run_id.as_str())), (&id, first.run_id()));
    let failed = world.client.execute(Parcels::run(1)).id(&id).id_conflict_policy(WorkflowIdConflictPolicy::Fail).await;
    assert!(matches!(failed, Err(ExecuteError::Start(StartError::AlreadyStarted { .. }))));
    // The rejected start has changed nothing.
    first.send().await.unwrap();
    assert!(run(worker(&world), first.result()).await.unwrap().is_empty());
}

async fn start_with_id_in_use_follows_conflict_policy(world: World) {
    let start = |limit| world.client.start(Parcels::run(limit)).id(world.id("parcel"));
    let first = start(1).await.unwrap();
    let same = start(2).id_conflict_policy(WorkflowIdConflictPolicy::UseExisting).await.unwrap();
    assert_eq!(first.run_id(), same.run_id());
    let next = start(3).id_conflict_policy(WorkflowIdConflictPolicy::TerminateExisting).await.unwrap();
    assert_ne!(first.run_id(), next.run_id());
    assert!(matches!(first.result().await, Err(ResultError::Terminated { .. })));
    next.send().await.unwrap();
    run(worker(&world), next.result()).await.unwrap();
}

async fn start_with_used_id_follows_reuse_policy(world: World) {
    let start = |policy| world.client.start(Parcels::run(0)).id(world.id("parcel")).id_reuse_policy(policy);
    run(worker(&world), async {
        let first = start(WorkflowIdReusePolicy::RejectDuplicate).await.unwrap();
        first.add("lamp".into()).await.unwrap();
        event(&first, "ActivityTaskCompleted").await;
        // Within a task a signal is handled before an activity's result.
        assert_eq!(first.items().await.unwrap().len(), 1);
        first.send().await.unwrap();
        assert!(matches!(first.result().await, Err(ResultError::Failed(_))));
        let rejected = start(WorkflowIdReusePolicy::RejectDuplicate).await;
        assert!(matches!(rejected, Err(StartError::AlreadyStarted { .. })));

        // The workflow failed: another start is allowed.
        let second = start(WorkflowIdReusePolicy::AllowDuplicateFailedOnly).await.unwrap();
        second.send().await.unwrap();
        assert!(second.result().await.unwrap().is_empty());
        let rejected = start(WorkflowIdReusePolicy::AllowDuplicateFailedOnly).await;
        let Err(StartError::AlreadyStarted { run_id, .. }) = rejected else { panic!("it has completed") };
        assert_eq!(Some(run_id.as_str()), second.run_id());

        let third = start(WorkflowIdReusePolicy::AllowDuplicate).await.unwrap();
        third.terminate("over").await.unwrap();
    })
    .await;
}

async fn handle_refers_to_the_run_it_started(world: World) {
    let start = || world.client.start(Parcels::run(1)).id(world.id("parcel"));
    run(worker(&world), async {
        let first = start().await.unwrap();
        first.send().await.unwrap();
        first.result().await.unwrap();
        let second = start().await.unwrap();
        // The first run has ended, and the run after it belongs to another caller.
        let error = first.terminate("mine").await.unwrap_err().to_string();
        assert!(error.contains(first.id()), "{error}");
        assert!(first.result().await.unwrap().is_empty());
        assert_eq!(second.describe().await.unwrap().status(), WorkflowStatus::Running);
        // A handle of the id alone reaches the latest run; one of a run reaches that run only.
        let latest = world.client.workflow_handle::<Parcels>(world.id("parcel"));
        assert_eq!(latest.describe().await.unwrap().run_id(), second.run_id().unwrap());
        let of_run = world.client.workflow_handle_of_run::<Parcels>(world.id("parcel"), first.run_id().unwrap());
        assert_eq!(of_run.describe().await.unwrap().status(), WorkflowStatus::Completed);
        second.terminate("over").await.unwrap();
    })
    .await;
}

async fn an_eager_start(world: World) {
    let accepted = async |client: &Client, wanted: bool| {
        let start = client.start(Parcels::run(1)).request_eager_start(wanted);
        let handle = start.await.unwrap();
        handle.send().await.unwrap();
        assert!(handle.result().await.unwrap().is_empty());
        let history = handle.history().await.unwrap();
        format!("{:?}", history.events()[0]).contains("eager_execution_accepted: true")
    };
    run(worker(&world), async {
        // The first event records the eager start, and a worker had the task at once.
        assert!(accepted(&world.client, true).await);
        assert!(!accepted(&world.client, false).await);
    })
    .await;
}
