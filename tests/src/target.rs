//! What the tests run against.
//!
//! `EVERLOOP_TEST_TARGET` names it: `embedded` is the engine in this process, `grpc` the same engine behind a socket, and
//! an address (`127.0.0.1:7233`) is a server that already runs: the reference, a real Temporal server. Unset means
//! `embedded` and `grpc`, one after the other.

use std::{convert::Infallible, env, net::Ipv4Addr};

use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use everloop_server::{ClockMode, Engine, Listening};
use tokio::sync::OnceCell;
use tonic::{Status, body::Body, transport::Endpoint};
use tower::{ServiceExt, util::BoxCloneSyncService};

/// The one type of a connection, whether it goes through a socket or stays in the process.
pub(crate) type Connection = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;

/// One server that the tests run against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Our engine in this process.
    Embedded,
    /// Our engine in this process, behind a socket.
    Grpc,
    /// A server at `HOST:PORT` that somebody else started: the reference.
    Address(String),
}

impl Target {
    /// The targets of this run of the tests.
    pub(crate) fn all() -> Vec<Self> {
        match env::var("EVERLOOP_TEST_TARGET").as_deref() {
            Err(_) => vec![Self::Embedded, Self::Grpc],
            Ok("embedded") => vec![Self::Embedded],
            Ok("grpc") => vec![Self::Grpc],
            Ok(address) => vec![Self::Address(address.into())],
        }
    }

    /// Whether this is the server whose answers are the right ones.
    pub(crate) fn is_reference(&self) -> bool {
        matches!(self, Self::Address(_))
    }

    /// What a client connects to. Called within a runtime that lives until the tests end: it serves the engine behind the
    /// socket.
    pub(crate) async fn address(&self) -> String {
        match self {
            Self::Embedded => "memory:".to_owned(),
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
            Self::Grpc | Self::Address(_) => channel(&self.address().await).await,
        }
    }
}

/// The client of the workflow service over any connection, with room for long histories.
pub(crate) fn workflow_client(connection: Connection) -> WorkflowServiceClient<Connection> {
    WorkflowServiceClient::new(connection).max_decoding_message_size(64 << 20)
}

/// The engine behind a socket, which all tests share as they would a server.
static LISTENING: OnceCell<Listening> = OnceCell::const_new();

fn engine() -> Engine {
    Engine::memory(ClockMode::Real).expect("an engine starts")
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
