//! A socket that serves an engine to other processes.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::Service;

use super::services::{Services, configured};
use crate::limits::STREAMS_MAX;
use crate::{Engine, EngineError};

/// The flow control window of a stream and of a connection: large enough for a history of some megabytes without a
/// pause.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// The time that running calls get to end after the stop. Waiting calls end at once.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// The clients that can reach the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Clients on this machine; other addresses are refused.
    Loopback,
    /// All clients that can reach the address. There is no encryption and no authentication.
    Anyone,
}

/// The reason why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Other machines could reach the address, and there is neither encryption nor authentication.
    #[error("{address} can be reached from other machines, and this server has neither encryption nor keys")]
    NotLoopback { address: SocketAddr },
    /// Another program listens on the address, often an earlier instance of this server.
    #[error("{address} is in use by another program")]
    InUse { address: SocketAddr },
    /// The address does not belong to this machine, or may not be used.
    #[error("cannot listen on {address}")]
    Bind { address: SocketAddr, source: io::Error },
    /// The engine cannot be served.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A listening socket; it accepts connections until it is stopped or dropped.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    served: JoinHandle<()>,
}

impl Listening {
    /// The socket's address; for port 0, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting connections and calls, and waits at most three seconds for running calls.
    ///
    /// Waiting polls return without a task, and reads that wait for new events return the events so far. Updates and
    /// queries that wait for a worker fail as unavailable. Calls that take longer, for instance those of a client that
    /// does not read its responses, are left to the runtime.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        // The caller need not wait for slower calls; a panic of the server has been reported already.
        let _ = tokio::time::timeout(STOP_PATIENCE, self.served).await;
    }
}

impl Engine {
    /// Serves the engine to other processes of this machine. Port 0 chooses a free port.
    ///
    /// # Errors
    ///
    /// Fails if other machines can reach the address, if it is in use, or if it does not belong to this machine.
    pub async fn listen(&self, address: SocketAddr) -> Result<Listening, ListenError> {
        self.listen_within(address, Reach::Loopback).await
    }

    /// Serves the engine to all clients that can reach the address, without encryption and authentication.
    ///
    /// # Errors
    ///
    /// Fails if the address is in use or does not belong to this machine.
    pub async fn listen_insecure(&self, address: SocketAddr) -> Result<Listening, ListenError> {
        self.listen_within(address, Reach::Anyone).await
    }

    async fn listen_within(&self, address: SocketAddr, reach: Reach) -> Result<Listening, ListenError> {
        let (stopping, stops) = watch::channel(false);
        let test = self.test_service().map(|test| configured!(test));
        let services = Services::new(configured!(self.workflow_service()), self.operator_service(), test, stops);
        let listens_on = |address| self.listens_on(address).map_err(ListenError::from);
        listen(address, reach, services, stopping, listens_on, self.on_stop_listening()).await
    }
}

/// Serves `service` on the address. Receivers of the sender are notified when the socket stops; `bound` gets the
/// address before the first client is served, and `ended` is called after the last.
async fn listen<S>(
    address: SocketAddr,
    reach: Reach,
    service: S,
    stopping: watch::Sender<bool>,
    bound: impl FnOnce(SocketAddr) -> Result<(), ListenError>,
    ended: impl FnOnce(SocketAddr) + Send + 'static,
) -> Result<Listening, ListenError>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    if reach == Reach::Loopback && !is_loopback(address.ip()) {
        return Err(ListenError::NotLoopback { address });
    }
    let refused = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { address },
        _ => ListenError::Bind { address, source },
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    bound(address)?;
    let mut stops = stopping.subscribe();
    let server = Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .serve_with_incoming_shutdown(service, TcpIncoming::from(listener).with_nodelay(Some(true)), async move {
            // An error means that `Listening` was dropped.
            let _ = stops.wait_for(|stopping| *stopping).await;
        });
    let served = tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "no longer listening");
        }
        ended(address);
    });
    Ok(Listening { address, stopping, served })
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use everloop_proto::grpc::health::v1::health_check_response::ServingStatus;
    use everloop_proto::grpc::health::v1::health_client::HealthClient;
    use everloop_proto::grpc::health::v1::health_server::HealthServer;
    use everloop_proto::grpc::health::v1::{HealthCheckRequest, HealthCheckResponse};
    use tonic::Code;
    use tonic::transport::Channel;

    use super::*;
    use crate::grpc::health::HealthService;
    use crate::stop::StopNotice;

    const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    async fn start(address: SocketAddr, reach: Reach) -> Result<Listening, ListenError> {
        let (stopping, stops) = watch::channel(false);
        listen(
            address,
            reach,
            HealthServer::new(HealthService::new(StopNotice::new(stops))),
            stopping,
            |_| Ok(()),
            |_| {},
        )
        .await
    }

    async fn connect(address: SocketAddr) -> Result<HealthClient<Channel>, tonic::transport::Error> {
        Ok(HealthClient::new(Channel::from_shared(format!("http://{address}")).unwrap().connect().await?))
    }

    fn of(service: &str) -> HealthCheckRequest {
        HealthCheckRequest { service: service.to_owned() }
    }

    #[tokio::test]
    async fn a_health_watcher_gets_the_stop_of_a_server_on_a_free_port() {
        let listening = start(LOCAL, Reach::Loopback).await.unwrap();
        assert_ne!(listening.address().port(), 0);
        let mut client = connect(listening.address()).await.unwrap();
        for service in ["", "temporal.api.workflowservice.v1.WorkflowService"] {
            assert_eq!(client.check(of(service)).await.unwrap().into_inner().status(), ServingStatus::Serving);
        }
        assert_eq!(client.check(of("shop")).await.unwrap_err().code(), Code::NotFound);

        let mut unknown = client.watch(of("shop")).await.unwrap().into_inner();
        let status = |answer: Option<HealthCheckResponse>| answer.map(|answer| answer.status());
        assert_eq!(status(unknown.message().await.unwrap()), Some(ServingStatus::ServiceUnknown));
        let mut watched = client.watch(of("")).await.unwrap().into_inner();
        assert_eq!(status(watched.message().await.unwrap()), Some(ServingStatus::Serving));
        let address = listening.address();
        listening.stop().await;
        assert_eq!(status(watched.message().await.unwrap()), Some(ServingStatus::NotServing));
        assert_eq!(status(watched.message().await.unwrap()), None);
        assert!(connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_in_the_error_and_free_after_the_stop() {
        let first = start(LOCAL, Reach::Loopback).await.unwrap();
        let address = first.address();
        let error = start(address, Reach::Loopback).await.unwrap_err();
        assert!(matches!(error, ListenError::InUse { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("{address} is in use by another program"));
        first.stop().await;
        start(address, Reach::Loopback).await.unwrap();
    }

    #[tokio::test]
    async fn addresses_of_other_machines_need_listen_insecure() {
        let everywhere = "0.0.0.0:0".parse().unwrap();
        let error = start(everywhere, Reach::Loopback).await.unwrap_err();
        assert!(matches!(error, ListenError::NotLoopback { .. }), "{error:?}");
        start(everywhere, Reach::Anyone).await.unwrap();
        for ip in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(is_loopback(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1"] {
            assert!(!is_loopback(ip.parse().unwrap()), "{ip}");
        }
    }
}
