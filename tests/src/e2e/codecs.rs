//! Payload codecs on the way between client, server and workers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use everloop::client::ResultError;
use everloop::data::{AesGcmCodec, EncryptionKey, HeaderCodec, PayloadCodec, PayloadCodecError, SerializationContext};
use everloop::prelude::*;
use everloop::raw;

use super::world::{World, everywhere, run};

everywhere!(
    server_sees_nothing_of_encrypted_payloads,
    workflow_goes_on_while_keys_are_rotated,
    unknown_key_names_itself_and_its_cure,
    headers_are_encrypted_if_the_client_says_so,
    codec_is_told_the_workflow_and_the_activity_of_each_payload,
);

/// Encrypts, and shows on demand what the server has.
#[derive(Clone)]
struct Window {
    codec: AesGcmCodec,
    is_open: Arc<AtomicBool>,
}

impl Window {
    fn new() -> Self {
        Self { codec: AesGcmCodec::new(EncryptionKey::new("first", [1; 32])), is_open: Arc::default() }
    }
}

impl PayloadCodec for Window {
    async fn encode(
        &self,
        payload: raw::Payload,
        context: &SerializationContext,
    ) -> Result<raw::Payload, PayloadCodecError> {
        self.codec.encode(payload, context).await
    }

    async fn decode(
        &self,
        payload: raw::Payload,
        context: &SerializationContext,
    ) -> Result<raw::Payload, PayloadCodecError> {
        match self.is_open.load(Ordering::SeqCst) {
            true => Ok(payload),
            false => self.codec.decode(payload, context).await,
        }
    }
}

#[activity(start_to_close_timeout = "1m")]
async fn shout(text: String) -> ActivityResult<String> {
    match text.as_str() {
        "secret failure" => Err(ActivityError::non_retryable("no").details("secret detail".to_owned())),
        _ => Ok(text.to_uppercase()),
    }
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
        let shouted = shout(text).await?;
        self.heard.wait(|heard| heard.iter().any(|text| text == "secret end")).await?;
        shout("secret failure".into()).await.expect_err("it fails");
        Ok(shouted)
    }

    #[signal]
    fn hear(&self, text: String) {
        self.heard.push(text);
    }

    #[query]
    fn last(&self, prefix: String) -> String {
        format!("{prefix}: {:?}", self.heard.get())
    }

    #[update]
    fn tell(&self, text: String) -> String {
        self.heard.push(text);
        "secret answer".to_owned()
    }
}

async fn server_sees_nothing_of_encrypted_payloads(world: World) {
    let window = Window::new();
    let world = world.with_client(|client| client.payload_codec(window.clone())).await;
    run(world.worker().workflow::<Secretive>().activity(shout), async {
        let start = world.client.start(Secretive::run("secret input".into())).id(world.id("secret"));
        let handle = start.memo("note", &"secret memo").await.unwrap();
        handle.hear("secret signal".into()).await.unwrap();
        assert_eq!(handle.last("secret query".into()).await.unwrap(), "secret query: [\"secret signal\"]");
        assert_eq!(handle.tell("secret end".into()).await.unwrap(), "secret answer");
        assert_eq!(handle.result().await.unwrap(), "SECRET INPUT");
        assert_eq!(handle.describe().await.unwrap().memo::<String>("note"), Some(Ok("secret memo".into())));
        let ours = format!("{:?}", handle.history().await.unwrap());
        for secret in ["secret input", "SECRET INPUT", "secret signal", "secret end", "secret answer", "secret detail"]
        {
            assert!(ours.contains(secret), "{secret} is missing: {ours}");
        }
        window.is_open.store(true, Ordering::SeqCst);
        let theirs = format!("{:?} {:?}", handle.history().await.unwrap(), handle.describe().await.unwrap());
        assert!(theirs.contains("binary/encrypted") && !theirs.to_lowercase().contains("secret "), "{theirs}");
    })
    .await;
}

async fn workflow_goes_on_while_keys_are_rotated(world: World) {
    let codec = AesGcmCodec::new(EncryptionKey::new("first", [1; 32]));
    let world = world.with_client(|client| client.payload_codec(codec.clone())).await;
    // Without a cache each task reads the history from its first payload on.
    let worker = world.worker().workflow::<Secretive>().activity(shout).max_cached_workflows(0);
    run(worker, async {
        let handle = world.client.start(Secretive::run("text".into())).id(world.id("rotated")).await.unwrap();
        handle.hear("with the first key".into()).await.unwrap();
        codec.add_key(EncryptionKey::new("second", [2; 32])).unwrap();
        codec.encrypt_with("second").unwrap();
        assert_eq!(handle.tell("with the second key".into()).await.unwrap(), "secret answer");
        handle.hear("secret end".into()).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "TEXT");
        let heard = handle.last("heard".into()).await.unwrap();
        assert_eq!(heard, "heard: [\"with the first key\", \"with the second key\", \"secret end\"]");
    })
    .await;
}

async fn unknown_key_names_itself_and_its_cure(world: World) {
    let codec = AesGcmCodec::new(EncryptionKey::new("lost", [1; 32]));
    let world = world.with_client(|client| client.payload_codec(codec.clone())).await;
    let start = world.client.start(Secretive::run("text".into())).id(world.id("unknown"));
    let handle = start.await.unwrap();
    codec.add_key(EncryptionKey::new("other", [2; 32])).unwrap();
    codec.encrypt_with("other").unwrap();
    codec.remove_key("lost").unwrap();
    let error = handle.history().await.err().unwrap().to_string();
    assert_eq!(
        error,
        "payload codec: a payload is encrypted with the key `lost`, and only these are known here: `other`; add it with `add_key`"
    );
    handle.terminate("seen enough").await.unwrap();
    assert!(matches!(handle.result().await, Err(ResultError::Terminated { .. })));
}

#[activity(start_to_close_timeout = "1m")]
async fn tenant(ctx: &ActivityContext) -> Option<String> {
    ctx.info().headers.get::<String>("tenant").and_then(Result::ok)
}

#[workflow]
#[derive(Default)]
struct Tenant;

#[workflow]
impl Tenant {
    #[run]
    async fn run(&self) -> WorkflowResult<bool> {
        let tenant = workflow::info().headers.get("tenant").cloned();
        Ok(tenant.is_some_and(|tenant| *tenant.data == *b"\"blue\""))
    }
}

async fn headers_are_encrypted_if_the_client_says_so(world: World) {
    let window = Window::new();
    let world =
        world.with_client(|client| client.payload_codec(window.clone()).header_codec(HeaderCodec::Always)).await;
    run(world.worker().workflow::<Tenant>().activity(tenant), async {
        let start = world.client.start(Tenant::run()).id(world.id("tenant")).header("tenant", &"blue");
        let handle = start.await.unwrap();
        assert!(handle.result().await.unwrap(), "the workflow sees the header decoded");
        window.is_open.store(true, Ordering::SeqCst);
        let theirs = format!("{:?}", handle.history().await.unwrap());
        assert!(theirs.contains("tenant") && !theirs.contains("blue"), "{theirs}");
    })
    .await;
}

/// Notes the owners of payloads.
#[derive(Clone, Default)]
struct Owners {
    encoded: Arc<Mutex<Vec<String>>>,
    decoded: Arc<Mutex<Vec<String>>>,
}

impl Owners {
    fn note(notes: &Mutex<Vec<String>>, payload: &raw::Payload, context: &SerializationContext) {
        assert_eq!(context.namespace, "default");
        let id = context.workflow_id.as_deref().expect("each payload belongs to a workflow");
        let kind = context.activity_type.as_deref().unwrap_or("workflow");
        let id = id.split('-').next().unwrap_or_default();
        notes.lock().unwrap().push(format!("{} {id} {kind}", String::from_utf8_lossy(&payload.data)));
    }

    fn of(notes: &Mutex<Vec<String>>) -> Vec<String> {
        let mut notes = notes.lock().unwrap().clone();
        notes.sort();
        notes.dedup();
        notes
    }
}

impl PayloadCodec for Owners {
    async fn encode(
        &self,
        payload: raw::Payload,
        context: &SerializationContext,
    ) -> Result<raw::Payload, PayloadCodecError> {
        Self::note(&self.encoded, &payload, context);
        Ok(payload)
    }

    async fn decode(
        &self,
        payload: raw::Payload,
        context: &SerializationContext,
    ) -> Result<raw::Payload, PayloadCodecError> {
        Self::note(&self.decoded, &payload, context);
        Ok(payload)
    }
}

async fn codec_is_told_the_workflow_and_the_activity_of_each_payload(world: World) {
    let owners = Owners::default();
    let world = world.with_client(|client| client.payload_codec(owners.clone())).await;
    run(world.worker().workflow::<Secretive>().activity(shout), async {
        let start = world.client.start(Secretive::run("text".into())).id(world.id("owned"));
        let handle = start.memo("note", &"memo").await.unwrap();
        handle.hear("secret end".into()).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "TEXT");
        handle.describe().await.unwrap();
    })
    .await;
    assert_eq!(
        Owners::of(&owners.encoded),
        [
            "\"TEXT\" owned shout",
            "\"TEXT\" owned workflow",
            "\"memo\" owned workflow",
            "\"secret detail\" owned shout",
            "\"secret end\" owned workflow",
            "\"secret failure\" owned shout",
            "\"text\" owned shout",
            "\"text\" owned workflow",
        ]
    );
    // A workflow that decodes a result does not know the activity's type in each case, so it never names it.
    assert_eq!(
        Owners::of(&owners.decoded),
        [
            "\"TEXT\" owned workflow",
            "\"memo\" owned workflow",
            "\"secret detail\" owned workflow",
            "\"secret end\" owned workflow",
            "\"secret failure\" owned shout",
            "\"text\" owned shout",
            "\"text\" owned workflow",
        ]
    );
}
