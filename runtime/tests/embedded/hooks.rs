//! Payload codecs and interceptors.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use everloop::client::{
    CallReply, ClientCall, ClientCallError, ClientInterceptor, ClientOperation, NextCall, ResultError,
};
use everloop::data::{PayloadCodec, PayloadCodecError, Payloads, SerializationContext};
use everloop::prelude::*;
use everloop::raw;
use everloop::worker::{
    ActivityAttempt, InboundCall, NextActivity, NextHandler, OutgoingCommand, OutgoingKind, WorkerInterceptor,
};

/// Turns the bytes around, and says so. What arrives can be looked at as the server has it.
#[derive(Clone, Default)]
struct Backwards {
    shows_what_the_server_has: Arc<AtomicBool>,
}

impl PayloadCodec for Backwards {
    async fn encode(&self, payload: raw::Payload, _: &SerializationContext) -> Result<raw::Payload, PayloadCodecError> {
        // A codec may take its time.
        tokio::task::yield_now().await;
        Ok(turn(payload))
    }

    async fn decode(&self, payload: raw::Payload, _: &SerializationContext) -> Result<raw::Payload, PayloadCodecError> {
        let shows = self.shows_what_the_server_has.load(Ordering::SeqCst);
        let is_ours = !shows && payload.metadata.contains_key("turned");
        Ok(if is_ours { turn(payload) } else { payload })
    }
}

fn turn(mut payload: raw::Payload) -> raw::Payload {
    let turned: Vec<u8> = payload.data.iter().rev().copied().collect();
    payload.data = turned.into();
    if payload.metadata.remove("turned").is_none() {
        payload.metadata.insert("turned".into(), "yes".into());
    }
    payload
}

#[activity]
async fn shout(ctx: &ActivityContext, text: String) -> ActivityResult<String> {
    if ctx.heartbeat_details::<String>().is_none() {
        ctx.heartbeat("secret beat".to_owned())?;
        return Err(ActivityError::new("again").details("secret detail".to_owned()));
    }
    Ok(text.to_uppercase())
}

#[workflow]
#[derive(Default)]
struct Secretive {
    heard: State<Vec<String>>,
}

#[workflow]
impl Secretive {
    #[run]
    async fn run(&self, text: String) -> WorkflowResult<String> {
        let shouted = shout(text).summary("secret summary").await?;
        wait_condition(|| self.heard.with(|heard| heard.len() == 2)).await?;
        match self.heard.get()[1].as_str() {
            "secret failure" => Err(WorkflowError::new("failed").details("secret end".to_owned())),
            _ => Ok(shouted),
        }
    }

    #[signal]
    fn hear(&self, text: String) {
        self.heard.update(|heard| heard.push(text));
    }

    #[query]
    fn last(&self, prefix: String) -> String {
        format!("{prefix} {:?}", self.heard.get())
    }

    #[update]
    fn tell(&self, text: String) -> String {
        self.heard.update(|heard| heard.push(text));
        "secret answer".to_owned()
    }
}

#[tokio::test]
async fn the_server_sees_no_plain_payload() {
    let codec = Backwards::default();
    let client = Client::builder("memory:?clock=skipping").payload_codec(codec.clone()).task_queue("q").await.unwrap();
    let worker = Worker::builder(&client, "q").workflow::<Secretive>().activity(shout).build().unwrap();
    let story = async {
        for ending in ["secret tale", "secret failure"] {
            let start = client.start(Secretive::run("secret input".into())).memo("note", &"secret memo".to_owned());
            let handle = start.summary("secret title").await.unwrap();
            handle.hear("secret signal".into()).await.unwrap();
            assert_eq!(handle.last("secret query".into()).await.unwrap(), "secret query [\"secret signal\"]");
            assert_eq!(handle.tell(ending.into()).await.unwrap(), "secret answer");
            match handle.result().await {
                Ok(text) => assert_eq!(text, "SECRET INPUT"),
                Err(ResultError::Failed(failure)) => {
                    assert_eq!(failure.details().unwrap().get::<String>(0), Some(Ok("secret end".into())));
                }
                Err(error) => panic!("{error}"),
            }
            let description = handle.describe().await.unwrap();
            assert_eq!(description.memo::<String>("note"), Some(Ok("secret memo".into())));
            assert_eq!(description.static_summary().as_deref(), Some("secret title"));
            let ours = format!("{:?}", handle.history().await.unwrap());
            assert!(ours.contains("secret input") && ours.contains("secret summary"), "{ours}");
            codec.shows_what_the_server_has.store(true, Ordering::SeqCst);
            let theirs = format!("{:?} {:?}", handle.history().await.unwrap(), handle.describe().await.unwrap());
            codec.shows_what_the_server_has.store(false, Ordering::SeqCst);
            assert!(theirs.contains("tupni terces") && !theirs.contains("secret"), "{theirs}");
        }
        let listed = client.list_workflows("WorkflowType = 'Secretive'").all().await.unwrap();
        assert_eq!(listed[0].memo::<String>("note"), Some(Ok("secret memo".into())));
    };
    worker.run_until(story).await.unwrap();
}

type Log = Arc<Mutex<Vec<String>>>;

struct Tracing(Log);

impl ClientInterceptor for Tracing {
    async fn call(&self, mut call: ClientCall, next: NextCall<'_>) -> Result<CallReply, ClientCallError> {
        let name = match call.operation() {
            ClientOperation::Start { workflow_type, .. } => workflow_type.clone(),
            other => other.name().to_owned(),
        };
        self.0.lock().unwrap().push(format!("call {name}"));
        if let Some(headers) = call.headers_mut() {
            headers.insert("trace", &format!("from {name}")).unwrap();
        }
        next.run(call).await
    }
}

impl WorkerInterceptor for Tracing {
    async fn workflow(&self, call: InboundCall<'_>, next: NextHandler<'_>) -> Result<raw::Payload, WorkflowError> {
        if !workflow::is_replaying() {
            let trace = call.headers.get::<String>("trace");
            self.0.lock().unwrap().push(format!("{} {trace:?}", call.name));
        }
        next.run(call).await
    }

    fn outgoing(&self, command: &mut OutgoingCommand<'_>) {
        if let OutgoingKind::Activity { activity_type, .. } = command.kind() {
            let trace = command.incoming::<String>("trace").unwrap().unwrap();
            command.headers_mut().unwrap().insert("trace", &format!("{trace} by {activity_type}")).unwrap();
        }
    }

    async fn activity(
        &self,
        attempt: ActivityAttempt<'_>,
        next: NextActivity<'_>,
    ) -> Result<raw::Payload, ActivityError> {
        let info = attempt.info;
        self.0.lock().unwrap().push(format!("{} {:?}", info.activity_type, info.headers.get::<String>("trace")));
        let result = next.run(attempt).await;
        self.0.lock().unwrap().push(format!("{:?}", result.as_ref().err().map(ToString::to_string)));
        result
    }
}

#[activity]
async fn headers_of(ctx: &ActivityContext) -> String {
    ctx.info().headers.get::<String>("trace").unwrap().unwrap()
}

#[workflow]
#[derive(Default)]
struct Traced;

#[workflow]
impl Traced {
    #[run]
    async fn run(&self) -> WorkflowResult<(String, bool)> {
        sleep(Duration::from_secs(1)).await?;
        let seen = headers_of().await?;
        Ok((seen, workflow::info().headers.contains_key("own")))
    }
}

/// Panics at the first call of each of its methods.
#[derive(Default)]
struct Clumsy {
    has_seen_workflow: AtomicBool,
    has_seen_command: AtomicBool,
    has_seen_attempt: AtomicBool,
}

impl WorkerInterceptor for Clumsy {
    async fn workflow(&self, call: InboundCall<'_>, next: NextHandler<'_>) -> Result<raw::Payload, WorkflowError> {
        assert!(self.has_seen_workflow.swap(true, Ordering::SeqCst), "no trace of the workflow");
        next.run(call).await
    }

    fn outgoing(&self, command: &mut OutgoingCommand<'_>) {
        let Some(headers) = command.headers_mut() else { return };
        assert!(self.has_seen_command.swap(true, Ordering::SeqCst), "no trace of the command");
        headers.insert("trace", &"there").unwrap();
    }

    async fn activity(
        &self,
        attempt: ActivityAttempt<'_>,
        next: NextActivity<'_>,
    ) -> Result<raw::Payload, ActivityError> {
        assert!(self.has_seen_attempt.swap(true, Ordering::SeqCst), "no trace of the attempt");
        next.run(attempt).await
    }
}

/// The panic ended the worker's own task: the workflow task and the attempt timed out without a cause, and their slots were lost.
#[tokio::test]
async fn interceptor_that_panics_fails_the_task_or_attempt_with_its_cause() {
    let client = Client::builder("memory:?clock=skipping").task_queue("q").await.unwrap();
    let worker = Worker::builder(&client, "q")
        .workflow::<Traced>()
        .activity(headers_of)
        .interceptor(Clumsy::default())
        .build()
        .unwrap();
    let story = async {
        let handle = client.start(Traced::run()).await.unwrap();
        assert_eq!(handle.result().await.unwrap().0, "there");
        let history = format!("{:?}", handle.history().await.unwrap());
        for cause in ["no trace of the workflow", "no trace of the command", "no trace of the attempt"] {
            assert!(history.contains(cause), "{cause}: {history}");
        }
        assert!(!history.contains("TimedOut"), "{history}");
    };
    worker.run_until(story).await.unwrap();
}

#[tokio::test]
async fn headers_go_from_the_client_through_the_workflow_to_its_activities() {
    let log = Log::default();
    let client =
        Client::builder("memory:?clock=skipping").interceptor(Tracing(log.clone())).task_queue("q").await.unwrap();
    let worker = Worker::builder(&client, "q")
        .workflow::<Traced>()
        .activity(headers_of)
        // Each task rebuilds the run: what is intercepted does not depend on the cache.
        .max_cached_workflows(0)
        .interceptor(Tracing(log.clone()))
        .build()
        .unwrap();
    let result = worker.run_until(client.execute(Traced::run()).header("own", &1u8));
    assert_eq!(result.await.unwrap(), ("from Traced by headers_of".to_owned(), true));
    expect_test::expect![[r#"
        call Traced
        Traced Some(Ok("from Traced"))
        headers_of Some(Ok("from Traced by headers_of"))
        None"#]]
    .assert_eq(&log.lock().unwrap().join("\n"));
}

#[tokio::test]
async fn untyped_calls_reach_typed_workflows() {
    let client = Client::builder("memory:?clock=skipping").task_queue("q").await.unwrap();
    let worker = Worker::builder(&client, "q").workflow::<Secretive>().activity(shout).build().unwrap();
    let story = async {
        let one = |text: &str| Payloads::of(&text.to_owned()).unwrap();
        let start = client.start_untyped("Secretive", one("input")).signal("hear", one("first"));
        let handle = start.request_eager_start(true).await.unwrap();
        assert_eq!(handle.query::<String>("last", one("q:")).await.unwrap(), "q: [\"first\"]");
        assert_eq!(handle.update::<String>("tell", one("second")).await.unwrap(), "secret answer");
        assert_eq!(handle.result::<String>().await.unwrap(), "INPUT");
        let typed = client.workflow_handle::<Secretive>(handle.id());
        assert_eq!(typed.result().await.unwrap(), "INPUT");
    };
    worker.run_until(story).await.unwrap();
}

#[tokio::test]
async fn an_eager_start_brings_its_task_along() {
    let client = Client::builder("memory:").task_queue("q").await.unwrap();
    let worker = Worker::builder(&client, "q").workflow::<Traced>().activity(headers_of).build().unwrap();
    let story = async {
        let handle = client.start(Traced::run()).request_eager_start(true).await.unwrap();
        // It says so in its first event, and a worker had the task at once.
        let text = format!("{:?}", handle.history().await.unwrap());
        assert!(text.contains("eager_execution_accepted: true"), "{text}");
        handle.terminate("seen enough").await.unwrap();
        assert!(matches!(handle.result().await, Err(ResultError::Terminated { reason }) if reason == "seen enough"));
    };
    worker.run_until(story).await.unwrap();
}
