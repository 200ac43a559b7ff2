//! A payload codec that fails, or panics, fails what it was asked for, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use everloop::data::{PayloadCodec, PayloadCodecError, SerializationContext};
use everloop::prelude::*;
use everloop::worker::WorkerError;
use everloop::{RetryPolicy, raw};

const FINE: u8 = 0;
const FAILS: u8 = 1;
const PANICS: u8 = 2;

/// Refuses payloads that contain `poison`, one way or another.
#[derive(Clone, Default)]
struct Moody(Arc<AtomicU8>);

impl Moody {
    fn check(mood: &AtomicU8, payload: raw::Payload) -> Result<raw::Payload, PayloadCodecError> {
        if String::from_utf8_lossy(&payload.data).contains("poison") {
            match mood.load(Ordering::SeqCst) {
                FAILS => return Err(PayloadCodecError("the key is gone".to_owned())),
                PANICS => panic!("the key is gone, loudly"),
                _ => {}
            }
        }
        Ok(payload)
    }
}

impl PayloadCodec for Moody {
    async fn encode(&self, payload: raw::Payload, _: &SerializationContext) -> Result<raw::Payload, PayloadCodecError> {
        Self::check(&self.0, payload)
    }

    async fn decode(&self, payload: raw::Payload, _: &SerializationContext) -> Result<raw::Payload, PayloadCodecError> {
        Ok(payload)
    }
}

#[activity(start_to_close_timeout = "1m")]
async fn echo(text: String) -> ActivityResult<String> {
    Ok(text.replace("harmless", "poison"))
}

#[workflow]
#[derive(Default)]
struct Echoes {
    go_on: State<bool>,
}

#[workflow]
impl Echoes {
    /// Has an activity return poison, and then returns some.
    #[run]
    async fn run(&self) -> WorkflowResult<String> {
        let twice = RetryPolicy::new().maximum_attempts(2);
        let failure = echo("harmless".to_owned()).retry_policy(twice).await.unwrap_err();
        wait_condition(|| self.go_on.get()).await?;
        Ok(format!("poison after {failure:?}"))
    }

    #[signal]
    fn go_on(&self) {
        self.go_on.set(true);
    }

    #[query]
    fn poison(&self) -> String {
        "poison".to_owned()
    }

    #[query]
    fn harmless(&self) -> String {
        "harmless".to_owned()
    }
}

async fn fails_what_it_was_asked_for(mood: u8) {
    let codec = Moody::default();
    let client =
        Client::builder("memory:?clock=skipping").payload_codec(codec.clone()).task_queue("moody").await.unwrap();
    // With one place a task that leaks it would end everything.
    let worker = Worker::builder(&client, "moody")
        .workflow::<Echoes>()
        .activity(echo)
        .max_concurrent_activities(1)
        .max_concurrent_workflow_tasks(2);
    let story = async {
        codec.0.store(mood, Ordering::SeqCst);
        let handle = client.start(Echoes::run()).id("echoes").await.unwrap();
        let unanswered = handle.poison().await.unwrap_err();
        assert!(unanswered.to_string().contains("the key is gone"), "{unanswered}");
        assert_eq!(handle.harmless().await.unwrap(), "harmless");
        handle.go_on().await.unwrap();
        let failed = async || handle.history().await.unwrap().event_names().any(|name| name == "WorkflowTaskFailed");
        while !failed().await {
            tokio::task::yield_now().await;
        }
        codec.0.store(FINE, Ordering::SeqCst);
        let result = handle.result().await.unwrap();
        assert!(result.contains("the activity's result cannot be sent: payload codec: "), "{result}");
        Ok::<_, WorkerError>(())
    };
    worker.build().unwrap().run_until(story).await.unwrap();
}

#[tokio::test]
async fn failing_codec_fails_the_call_alone() {
    fails_what_it_was_asked_for(FAILS).await;
}

#[tokio::test]
async fn panicking_codec_fails_the_call_alone() {
    fails_what_it_was_asked_for(PANICS).await;
}
