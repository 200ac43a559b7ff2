//! Interceptors of clients and workers, and what travels in headers.

use std::sync::{Arc, Mutex};

use everloop::client::{
    CallReply, ClientCall, ClientCallError, ClientInterceptor, HandleError, NextCall, StartError, UpdateError,
};
use everloop::prelude::*;
use everloop::raw;
use everloop::testing::Replayer;
use everloop::worker::{
    ActivityAttempt, InboundCall, InboundKind, NextActivity, NextHandler, NextQuery, OutgoingCommand, WorkerInterceptor,
};

use super::world::{World, everywhere, run};

everywhere!(
    trace_and_tenant_travel_from_client_through_workflow_to_activity,
    handler_hands_on_the_headers_of_its_own_message,
    first_interceptor_is_the_outermost,
    client_interceptor_sees_every_operation,
    client_interceptor_refuses_a_call,
    interceptors_replace_results_and_reject_updates;
    waiting: interceptor_around_run_is_part_of_the_history,
);

tokio::task_local! {
    /// The trace and the tenant of the caller.
    static CALLER: (String, String);
}

/// Sends trace and tenant along, and hands them on.
struct Passport;

impl ClientInterceptor for Passport {
    async fn call(&self, mut call: ClientCall, next: NextCall<'_>) -> Result<CallReply, ClientCallError> {
        let caller = CALLER.try_with(Clone::clone).ok();
        if let (Some((trace, tenant)), Some(headers)) = (caller, call.headers_mut()) {
            headers.insert("trace", &trace).map_err(ClientCallError::refused)?;
            headers.insert("tenant", &tenant).map_err(ClientCallError::refused)?;
        }
        next.run(call).await
    }
}

impl WorkerInterceptor for Passport {
    async fn activity(
        &self,
        attempt: ActivityAttempt<'_>,
        next: NextActivity<'_>,
    ) -> Result<raw::Payload, ActivityError> {
        let header = |name: &str| attempt.info.headers.get::<String>(name).and_then(Result::ok).unwrap_or_default();
        let caller = (header("trace"), header("tenant"));
        CALLER.scope(caller, next.run(attempt)).await
    }

    fn outgoing(&self, command: &mut OutgoingCommand<'_>) {
        command.pass_on("trace");
        command.pass_on("tenant");
    }
}

/// Reads what the interceptor left for it: no parameter mentions it.
#[activity(start_to_close_timeout = "1m")]
async fn caller() -> String {
    CALLER.with(|(trace, tenant)| format!("{trace} of {tenant}"))
}

#[workflow]
#[derive(Default)]
struct Called {
    seen: State<Vec<String>>,
    is_over: State<bool>,
}

#[workflow]
impl Called {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<String>> {
        self.seen.push(caller().await?);
        let from_spawned = spawn(caller());
        self.is_over.wait(|is_over| *is_over).await?;
        self.seen.push(from_spawned.await??);
        wait_condition(workflow::all_handlers_finished).await?;
        Ok(self.seen.get())
    }

    #[signal]
    async fn look(&self) -> WorkflowResult<()> {
        self.seen.push(caller().await?);
        Ok(())
    }

    #[update]
    async fn ask(&self) -> WorkflowResult<String> {
        Ok(spawn(caller()).await??)
    }

    #[update]
    fn finish(&self) {
        self.is_over.set(true);
    }
}

fn as_caller<F: Future>(trace: &str, tenant: &str, call: F) -> impl Future<Output = F::Output> {
    CALLER.scope((trace.to_owned(), tenant.to_owned()), call)
}

async fn trace_and_tenant_travel_from_client_through_workflow_to_activity(world: World) {
    let world = world.with_client(|client| client.interceptor(Passport)).await;
    let worker = world.worker().workflow::<Called>().activity(caller).interceptor(Passport);
    run(worker, async {
        let start = world.client.start(Called::run()).id(world.id("called"));
        let handle = as_caller("trace-1", "blue", start.into_future()).await.unwrap();
        handle.finish().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), ["trace-1 of blue", "trace-1 of blue"]);
    })
    .await;
}

async fn handler_hands_on_the_headers_of_its_own_message(world: World) {
    let world = world.with_client(|client| client.interceptor(Passport)).await;
    // Each task replays: the headers of messages come from history, too.
    let worker = world.worker().workflow::<Called>().activity(caller).interceptor(Passport).max_cached_workflows(0);
    run(worker, async {
        let start = world.client.start(Called::run()).id(world.id("called"));
        let handle = as_caller("trace-1", "blue", start.into_future()).await.unwrap();
        let asked = as_caller("trace-2", "green", handle.ask().into_future()).await.unwrap();
        assert_eq!(asked, "trace-2 of green");
        as_caller("trace-3", "red", handle.look().into_future()).await.unwrap();
        // A message without headers belongs to whoever started the workflow.
        assert_eq!(handle.ask().await.unwrap(), "trace-1 of blue");
        handle.finish().await.unwrap();
        let mut seen = handle.result().await.unwrap();
        seen.sort();
        assert_eq!(seen, ["trace-1 of blue", "trace-1 of blue", "trace-3 of red"]);
    })
    .await;
}

/// Notes what it sees, and when it is left.
#[derive(Clone)]
struct Notes {
    name: &'static str,
    notes: Arc<Mutex<Vec<String>>>,
}

impl Notes {
    fn two() -> [Self; 2] {
        let notes = Arc::default();
        ["outer", "inner"].map(|name| Self { name, notes: Arc::clone(&notes) })
    }

    fn note(&self, text: impl std::fmt::Display) {
        self.notes.lock().unwrap().push(format!("{} {text}", self.name));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock().unwrap())
    }
}

impl ClientInterceptor for Notes {
    async fn call(&self, call: ClientCall, next: NextCall<'_>) -> Result<CallReply, ClientCallError> {
        let name = call.operation().name();
        self.note(name);
        let result = next.run(call).await;
        let run = result.as_ref().is_ok_and(|reply| reply.run_id().is_some());
        self.note(format_args!("{name} {}", if run { "has a run" } else { "ended" }));
        result
    }
}

impl WorkerInterceptor for Notes {
    async fn activity(
        &self,
        attempt: ActivityAttempt<'_>,
        next: NextActivity<'_>,
    ) -> Result<raw::Payload, ActivityError> {
        self.note(format_args!("activity of {}", attempt.input.get::<u32>(0).unwrap().unwrap()));
        let result = next.run(attempt).await;
        self.note(format_args!("activity {}", if result.is_ok() { "completed" } else { "failed" }));
        result
    }

    async fn workflow(&self, call: InboundCall<'_>, next: NextHandler<'_>) -> Result<raw::Payload, WorkflowError> {
        let is_new = !workflow::is_replaying();
        let (kind, name) = (call.kind, call.name.to_owned());
        if is_new {
            self.note(format_args!("{kind:?} {name}"));
        }
        let result = next.run(call).await;
        if !workflow::is_replaying() {
            self.note(format_args!("{kind:?} {name} ended"));
        }
        result
    }

    fn query(&self, call: InboundCall<'_>, next: NextQuery<'_>) -> Result<raw::Payload, WorkflowError> {
        self.note(format_args!("{:?} {}", call.kind, call.name));
        next.run(call)
    }
}

#[activity(start_to_close_timeout = "1m")]
async fn half(number: u32) -> ActivityResult<u32> {
    match number % 2 {
        0 => Ok(number / 2),
        _ => Err(ActivityError::non_retryable("odd")),
    }
}

#[workflow]
#[derive(Default)]
struct Halves {
    more: State<Option<u32>>,
}

#[workflow]
impl Halves {
    #[run]
    async fn run(&self) -> WorkflowResult<u32> {
        self.more.wait(Option::is_some).await?;
        Ok(half(self.more.get().unwrap_or_default()).await?)
    }

    #[update(validator = check)]
    fn set(&self, number: u32) -> u32 {
        self.more.replace(Some(number)).unwrap_or_default()
    }

    fn check(&self, number: &u32) -> WorkflowResult<()> {
        if *number > 0 { Ok(()) } else { Err(WorkflowError::new("nothing to halve")) }
    }

    #[query]
    fn number(&self) -> Option<u32> {
        self.more.get()
    }
}

async fn first_interceptor_is_the_outermost(world: World) {
    let [outer, inner] = Notes::two();
    let world = world.with_client(|client| client.interceptor(outer.clone()).interceptor(inner.clone())).await;
    let worker = world.worker().workflow::<Halves>().activity(half);
    run(worker.interceptor(outer.clone()).interceptor(inner.clone()), async {
        let handle = world.client.start(Halves::run()).id(world.id("halves")).await.unwrap();
        assert_eq!(handle.number().await.unwrap(), None);
        assert_eq!(handle.set(8).await.unwrap(), 0);
        assert_eq!(handle.result().await.unwrap(), 4);
    })
    .await;
    let notes = outer.take();
    let both = |text: &str| {
        let position = |name: &str| notes.iter().position(|note| *note == format!("{name} {text}"));
        match (position("outer"), position("inner")) {
            (Some(outer), Some(inner)) => outer < inner,
            _ => panic!("{text}: {notes:#?}"),
        }
    };
    for begins in ["start", "Run Halves", "Query number", "Validator set", "Update set", "activity of 8"] {
        assert!(both(begins), "{begins}: {notes:#?}");
    }
    for ends in ["start has a run", "query ended", "Update set ended", "activity completed", "Run Halves ended"] {
        assert!(!both(ends), "{ends}: {notes:#?}");
    }
}

async fn client_interceptor_sees_every_operation(world: World) {
    let [outer, _] = Notes::two();
    let world = world.with_client(|client| client.interceptor(outer.clone())).await;
    run(world.worker().workflow::<Halves>().workflow::<Called>().activity(half).activity(caller), async {
        let handle = world.client.start(Halves::run()).id(world.id("seen")).await.unwrap();
        handle.number().await.unwrap();
        handle.set(1).await.unwrap();
        handle.describe().await.unwrap();
        handle.cancel().await.unwrap();
        handle.result().await.unwrap_err();
        let called = world.client.start(Called::run()).id(world.id("signalled"));
        let called = called.signal(|called| called.look()).await.unwrap();
        called.look().await.unwrap();
        called.terminate("seen enough").await.unwrap();
        world.client.list_workflows("WorkflowType = 'Halves'").page_size(1).next().await.unwrap();
        world.client.count_workflows("WorkflowType = 'Halves'").await.unwrap();
    })
    .await;
    let mut seen: Vec<_> = outer.take().into_iter().filter(|note| note.split(' ').count() == 2).collect();
    seen.dedup();
    assert_eq!(
        seen,
        [
            "outer start",
            "outer query",
            "outer update",
            "outer describe",
            "outer cancel",
            "outer start",
            "outer signal",
            "outer terminate",
            "outer list",
            "outer count"
        ]
    );
}

/// Lets only calls about what it knows pass.
struct Gate;

impl ClientInterceptor for Gate {
    async fn call(&self, call: ClientCall, next: NextCall<'_>) -> Result<CallReply, ClientCallError> {
        match call.operation().workflow_id() {
            Some(id) if id.starts_with("closed") => {
                Err(ClientCallError::refused(format!("`{id}` is none of your business")))
            }
            _ => next.run(call).await,
        }
    }
}

async fn client_interceptor_refuses_a_call(world: World) {
    let world = world.with_client(|client| client.interceptor(Gate)).await;
    let refused = world.client.start(Halves::run()).id("closed-1").await.err().unwrap();
    assert!(matches!(refused, StartError::Interceptor(_)));
    assert_eq!(
        refused.to_string(),
        "an interceptor of the client refused the call: `closed-1` is none of your business"
    );
    let handle = world.client.workflow_handle::<Halves>("closed-1");
    assert!(matches!(handle.cancel().await, Err(HandleError::Interceptor(_))));
    assert!(matches!(handle.set(1).await, Err(UpdateError::Interceptor(_))));
}

/// Decides for the code that it is around.
struct Judge;

impl WorkerInterceptor for Judge {
    async fn activity(
        &self,
        attempt: ActivityAttempt<'_>,
        next: NextActivity<'_>,
    ) -> Result<raw::Payload, ActivityError> {
        match attempt.input.get::<u32>(0) {
            Some(Ok(7)) => Err(ActivityError::non_retryable("seven is refused").type_name("Refused")),
            _ => next.run(attempt).await,
        }
    }

    async fn workflow(&self, call: InboundCall<'_>, next: NextHandler<'_>) -> Result<raw::Payload, WorkflowError> {
        let result = next.run(call).await;
        match result {
            Err(error) if call.kind == InboundKind::Run => Err(WorkflowError::new(format!("judged: {error}"))),
            result => result,
        }
    }

    fn query(&self, call: InboundCall<'_>, next: NextQuery<'_>) -> Result<raw::Payload, WorkflowError> {
        match (call.kind, call.input.get::<u32>(0)) {
            (InboundKind::Validator, Some(Ok(13))) => Err(WorkflowError::new("thirteen is unlucky")),
            _ => next.run(call),
        }
    }
}

async fn interceptors_replace_results_and_reject_updates(world: World) {
    run(world.worker().workflow::<Halves>().activity(half).interceptor(Judge), async {
        let handle = world.client.start(Halves::run()).id(world.id("judged")).await.unwrap();
        let unlucky = handle.set(13).await.unwrap_err().to_string();
        assert!(unlucky.contains("thirteen is unlucky"), "{unlucky}");
        let zero = handle.set(0).await.unwrap_err().to_string();
        assert!(zero.contains("nothing to halve"), "{zero}");
        let unknown = handle.untyped().query::<u32>("nummber", Default::default()).await.unwrap_err().to_string();
        assert!(unknown.contains("there is no query `nummber`; there are: number"), "{unknown}");
        handle.set(7).await.unwrap();
        let failure = handle.result().await.unwrap_err().to_string();
        assert!(failure.contains("judged: ") && failure.contains("seven is refused"), "{failure}");
    })
    .await;
}

/// Lets a workflow wait before it begins.
struct Delay(Duration);

impl WorkerInterceptor for Delay {
    async fn workflow(&self, call: InboundCall<'_>, next: NextHandler<'_>) -> Result<raw::Payload, WorkflowError> {
        if call.kind == InboundKind::Run {
            sleep(self.0).await?;
        }
        next.run(call).await
    }
}

async fn interceptor_around_run_is_part_of_the_history(world: World) {
    let wait = world.wait();
    let worker = world.worker().workflow::<Halves>().activity(half).interceptor(Delay(wait)).max_cached_workflows(0);
    let history = run(worker, async {
        let handle = world.client.start(Halves::run()).id(world.id("delayed")).await.unwrap();
        handle.set(8).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 4);
        handle.history().await.unwrap()
    })
    .await;
    world.assert_skipped(wait);
    let replayer = || Replayer::new().workflow::<Halves>();
    replayer().interceptor(Delay(wait)).replay(&history).unwrap();
    let without = replayer().replay(&history).unwrap_err().to_string();
    assert!(without.contains("StartTimer(1)"), "{without}");
}
