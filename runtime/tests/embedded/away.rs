//! Servers that are away, and connections on which nothing comes any more.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use everloop::client::{HandleError, QueryError, RpcCode, StartError};
use everloop::prelude::*;
use everloop_server::Engine;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// How long calls may take in these tests.
const LIMIT: Duration = Duration::from_millis(300);

#[workflow]
#[derive(Default)]
struct Parcel {
    is_sent: State<bool>,
}

#[workflow]
impl Parcel {
    #[run]
    async fn run(&self) -> WorkflowResult<String> {
        self.is_sent.wait(|is_sent| *is_sent).await?;
        Ok("sent".to_owned())
    }

    #[signal]
    fn send(&self) {
        self.is_sent.set(true);
    }

    #[query]
    fn is_sent(&self) -> bool {
        self.is_sent.get()
    }
}

/// What becomes of the bytes of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    Forwards,
    /// Takes nothing and brings nothing, and stays open: as behind a firewall that has forgotten it.
    Frozen,
    Cut,
}

/// Between clients and an engine that listens.
struct Proxy {
    engine: Engine,
    port: u16,
    /// Of the connections that are open now. New ones get a new wire.
    wire: watch::Sender<Wire>,
    /// Whether new connections are taken.
    is_open: watch::Sender<bool>,
    _connections: JoinSet<()>,
}

impl Proxy {
    async fn start() -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let engine = Engine::builder().build().unwrap();
        let mut connections = JoinSet::new();
        let incoming = TcpIncoming::bind(any_port).unwrap();
        let server = incoming.local_addr().unwrap();
        let service = engine.workflow_service();
        connections.spawn(async move {
            Server::builder().serve_with_incoming(service, incoming).await.unwrap();
        });
        let listener = TcpListener::bind(any_port).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = watch::Sender::new(Wire::Forwards);
        let is_open = watch::Sender::new(true);
        connections.spawn(serve(listener, server, wire.clone(), is_open.subscribe()));
        Self { engine, port, wire, is_open, _connections: connections }
    }

    fn client(&self) -> everloop::client::ClientBuilder {
        Client::builder(format!("127.0.0.1:{}", self.port)).task_queue("parcels").timeout(LIMIT)
    }

    /// Every connection that is open now freezes for ever; new ones work.
    fn freeze(&self) {
        self.wire.send_replace(Wire::Frozen);
    }

    /// Closes all connections and takes no more.
    fn go_away(&self) {
        self.is_open.send_replace(false);
        self.wire.send_replace(Wire::Cut);
    }

    fn come_back(&self) {
        self.is_open.send_replace(true);
    }
}

async fn serve(listener: TcpListener, server: SocketAddr, wire: watch::Sender<Wire>, is_open: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if !*is_open.borrow() {
            continue;
        }
        let server = TcpStream::connect(server).await.unwrap();
        // It is the first one, or the others are frozen or cut already and stay so.
        let (wire, own) = (wire.subscribe(), watch::Sender::new(Wire::Forwards));
        connections.spawn(carry(client, server, wire, own));
    }
}

/// Carries bytes both ways, until the wire is said to be cut.
async fn carry(client: TcpStream, server: TcpStream, mut changes: watch::Receiver<Wire>, own: watch::Sender<Wire>) {
    changes.mark_unchanged();
    let (own_a, own_b) = (own.subscribe(), own.subscribe());
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let both = async { tokio::join!(forward(from_client, to_server, own_a), forward(from_server, to_client, own_b)) };
    let follows = async {
        // A wire that is frozen stays frozen.
        while changes.changed().await.is_ok() {
            let change = *changes.borrow();
            own.send_if_modified(|wire| {
                *wire == Wire::Forwards && {
                    *wire = change;
                    true
                }
            });
            if change == Wire::Cut {
                return;
            }
        }
    };
    tokio::select! { _ = both => {}, () = follows => {} }
}

async fn forward(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, wire: watch::Receiver<Wire>) {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes).await else { return };
        if *wire.borrow() != Wire::Forwards {
            return std::future::pending().await;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn calls_on_a_frozen_connection_end_with_their_deadline() {
    let proxy = Proxy::start().await;
    let client = proxy.client().await.unwrap();
    assert!(client.is_healthy().await);
    let handle = client.start(Parcel::run()).await.unwrap();
    proxy.freeze();
    assert!(!client.is_healthy().await);
    let Err(StartError::Rpc(error)) = client.start(Parcel::run()).await else { panic!("nothing comes through") };
    assert_eq!((error.code, &*error.message), (RpcCode::DeadlineExceeded, "no answer in time"));
    let Err(HandleError::Rpc(error)) = handle.describe().await else { panic!("nothing comes through") };
    assert_eq!(error.code, RpcCode::DeadlineExceeded);
    let Err(QueryError::NoAnswer { .. }) = handle.is_sent().await else { panic!("nothing comes through") };
}

#[tokio::test]
async fn a_frozen_connection_is_replaced_and_waiting_goes_on() {
    let proxy = Proxy::start().await;
    let client = proxy.client().keep_alive_interval(Duration::from_millis(150)).await.unwrap();
    let handle = client.start(Parcel::run()).id("parcel").await.unwrap();
    let result = tokio::spawn(handle.result());
    assert!(client.is_healthy().await);
    proxy.freeze();
    // Another client, in the engine's own process, has the workflow end meanwhile.
    let inside =
        Client::builder("memory:").service(proxy.engine.workflow_service()).task_queue("parcels").await.unwrap();
    let worker = Worker::builder(&inside, "parcels").workflow::<Parcel>().build().unwrap();
    let story = async {
        inside.workflow_handle::<Parcel>("parcel").send().await.unwrap();
        assert_eq!(result.await.unwrap().unwrap(), "sent");
        // The connection is a new one.
        handle.describe().await.unwrap();
        assert!(client.is_healthy().await);
    };
    worker.run_until(story).await.unwrap();
}

#[tokio::test]
async fn without_a_server_calls_fail_after_their_limit_and_waiting_goes_on() {
    let proxy = Proxy::start().await;
    let client = proxy.client().await.unwrap();
    let handle = client.start(Parcel::run()).await.unwrap();
    let result = tokio::spawn(handle.result());
    assert!(client.is_healthy().await);
    proxy.go_away();
    let Err(StartError::Rpc(error)) = client.start(Parcel::run()).await else { panic!("there is no server") };
    // The cause, not that there was no time left for another attempt.
    assert_eq!(error.code, RpcCode::Unavailable, "{error}");
    assert!(!client.is_healthy().await && !result.is_finished());
    proxy.come_back();
    let worker = Worker::builder(&client, "parcels").workflow::<Parcel>().build().unwrap();
    let story = async {
        handle.send().await.unwrap();
        assert_eq!(result.await.unwrap().unwrap(), "sent");
        assert!(client.is_healthy().await);
    };
    worker.run_until(story).await.unwrap();
}
