//! The servers that the tests run against.
//!
//! `EVERLOOP_TEST_TARGET` selects one: `embedded` is the engine in this process, `sqlite` the same with a file, `grpc` the engine
//! behind a socket, and an address (`127.0.0.1:7233`) is a server that already runs: the reference, a real Temporal server. By
//! default the tests run on the first three.

use std::{
    convert::Infallible,
    env, fs,
    net::Ipv4Addr,
    path::PathBuf,
    sync::LazyLock,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use everloop_server::{Engine, EngineBuilder, Listening};
use tokio::{
    runtime::{Builder, Runtime},
    sync::OnceCell,
};
use tonic::{Status, body::Body, transport::Endpoint};
use tower::{ServiceExt, util::BoxCloneSyncService};

/// The type of all connections, through a socket or in the process.
pub(crate) type Connection = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;

/// The runtime of tasks that may outlive a test, such as the engine behind the socket.
pub(crate) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts"));

/// One server that the tests run against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Our engine in this process.
    Embedded,
    /// Our engine in this process, with a file.
    Sqlite,
    /// Our engine in this process, behind a socket.
    Grpc,
    /// A server at `HOST:PORT` that was started separately: the reference.
    Address(String),
}

impl Target {
    /// The targets of this run of the tests.
    pub(crate) fn all() -> Vec<Self> {
        match env::var("EVERLOOP_TEST_TARGET").as_deref() {
            Err(_) => vec![Self::Embedded, Self::Sqlite, Self::Grpc],
            Ok("embedded") => vec![Self::Embedded],
            Ok("sqlite") => vec![Self::Sqlite],
            Ok("grpc") => vec![Self::Grpc],
            Ok(address) => vec![Self::Address(address.into())],
        }
    }

    /// Whether this is the real server, whose behaviour is the expected one.
    pub(crate) fn is_reference(&self) -> bool {
        matches!(self, Self::Address(_))
    }

    /// Whether this is an engine in this process that does not listen.
    pub(crate) fn is_in_process(&self) -> bool {
        matches!(self, Self::Embedded | Self::Sqlite)
    }

    /// Returns the address for a client. Must be called within a runtime that lives until the tests end: it serves the engine
    /// behind the socket.
    pub(crate) async fn address(&self) -> String {
        match self {
            Self::Embedded => "memory:".to_owned(),
            // Tests share a few files: usually a test reopens a file that an earlier test has released.
            Self::Sqlite => {
                let turn = NEXT_FILE.fetch_add(1, Ordering::Relaxed) % SHARED_FILES;
                format!("sqlite:{}", FOLDER.join(format!("shared-{turn}.db")).display())
            }
            Self::Grpc => {
                let listen =
                    || async { engine().listen((Ipv4Addr::LOCALHOST, 0).into()).await.expect("there is a free port") };
                LISTENING.get_or_init(listen).await.address().to_string()
            }
            Self::Address(address) => address.clone(),
        }
    }

    /// Connects without a client; called within the runtime that will drive the connection.
    pub(crate) async fn connect(&self) -> Connection {
        match self {
            Self::Embedded => in_process(&engine()),
            Self::Sqlite => {
                let own = NEXT_FILE.fetch_add(1, Ordering::Relaxed);
                let file = FOLDER.join(format!("own-{own}.db"));
                in_process(&compared().file(file).build().expect("an engine starts"))
            }
            Self::Grpc | Self::Address(_) => channel(&self.address().await).await,
        }
    }
}

/// Returns a client of the workflow service over any connection, with room for long histories.
pub(crate) fn workflow_client(connection: Connection) -> WorkflowServiceClient<Connection> {
    WorkflowServiceClient::new(connection).max_decoding_message_size(64 << 20)
}

/// Number of files that the tests of one process share.
const SHARED_FILES: usize = 4;

static NEXT_FILE: AtomicUsize = AtomicUsize::new(0);

/// The folder of the files, beside the test program: files of the last run are removed.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let program = env::current_exe().expect("the test knows where it is");
    let folder = program.with_extension("files");
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("the files of the last run can be removed");
    }
    fs::create_dir_all(&folder).expect("there is room beside the test program");
    folder
});

/// The engine behind a socket, shared by all tests like a server.
static LISTENING: OnceCell<Listening> = OnceCell::const_new();

fn engine() -> Engine {
    compared().build().expect("an engine starts")
}

/// An engine that compares each run with the state that its events lead to, after each of its transitions.
fn compared() -> EngineBuilder {
    Engine::builder().compare_with_stored(300).run_interval_min(Duration::ZERO)
}

fn in_process(engine: &Engine) -> Connection {
    let service = engine.workflow_service().map_request(|request: http::Request<Body>| request);
    Connection::new(service.map_err(|never: Infallible| match never {}))
}

async fn channel(address: &str) -> Connection {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address is HOST:PORT");
    let channel = endpoint.connect().await.unwrap_or_else(|error| panic!("no server at {address}: {error:?}"));
    Connection::new(channel.map_err(|error| Status::from_error(error.into())))
}
