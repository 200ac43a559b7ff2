//! Connections with TLS, and what is said about those that are not made. The server is tonic's, in front of an engine.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use everloop::Client;
use everloop::client::{ClientBuilder, ConnectError, TlsOptions};
use everloop_server::Engine;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

/// Vouches for servers and clients.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        Self::named("shop")
    }

    fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for this name, and its key.
    fn certificate(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// An engine behind a socket. It ends with the test.
struct Service {
    port: u16,
    keys: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Service {
    async fn start(tls: Option<ServerTlsConfig>) -> Self {
        let engine = Engine::builder().build().unwrap();
        let keys = Arc::<Mutex<Vec<String>>>::default();
        let seen = keys.clone();
        let service = InterceptedService::new(engine.workflow_service(), move |request: tonic::Request<()>| {
            let key = request.metadata().get("authorization").and_then(|key| key.to_str().ok());
            seen.lock().unwrap().extend(key.map(str::to_owned));
            Ok(request)
        });
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = server.serve_with_incoming(service, TcpIncoming::from(listener));
        let serving = tokio::spawn(async move {
            serving.await.unwrap();
            drop(engine);
        });
        Self { port, keys, serving }
    }

    /// One for `localhost`.
    async fn with_tls(authority: &Authority) -> Self {
        Self::start(Some(identity(authority))).await
    }

    fn client(&self, scheme: &str, host: &str) -> ClientBuilder {
        Client::builder(format!("{scheme}{host}:{}", self.port))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn identity(authority: &Authority) -> ServerTlsConfig {
    let (certificate, key) = authority.certificate("localhost");
    ServerTlsConfig::new().identity(Identity::from_pem(certificate, key))
}

fn trusting(authority: &Authority) -> TlsOptions {
    TlsOptions::new().server_ca(authority.pem.clone())
}

/// What is said about a connection that is not made. It is for TLS, and says what to do.
async fn refused(builder: ClientBuilder, advice: &str) -> String {
    let error = builder.connect().await.err().expect("there is no connection");
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(advice), "{text}");
    text
}

#[tokio::test]
async fn a_server_that_the_ca_vouches_for_is_used() {
    let authority = Authority::new();
    let service = Service::with_tls(&authority).await;
    let client = service.client("https://", "localhost").tls(trusting(&authority)).await.unwrap();
    assert_eq!(client.count_workflows("").await.unwrap(), 0);
    assert!(service.keys.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_key_goes_with_every_call_and_over_tls() {
    let authority = Authority::new();
    let service = Service::with_tls(&authority).await;
    let client = service.client("", "localhost").tls(trusting(&authority)).api_key("secret").await.unwrap();
    client.count_workflows("").await.unwrap();
    assert_eq!(*service.keys.lock().unwrap(), ["Bearer secret", "Bearer secret"]);

    // Without a word about TLS, too: an address alone is one with TLS then.
    let strangers = service.client("", "localhost").api_key("secret");
    refused(strangers, "TEMPORAL_TLS_SERVER_CA_CERT_PATH").await;
}

#[tokio::test]
async fn a_key_goes_without_tls_where_the_address_says_so() {
    let service = Service::start(None).await;
    service.client("http://", "localhost").api_key("secret").await.unwrap();
    assert_eq!(*service.keys.lock().unwrap(), ["Bearer secret"]);
}

#[tokio::test]
async fn server_with_an_untrusted_certificate_is_rejected() {
    let service = Service::with_tls(&Authority::new()).await;
    // The other one may even have the same name, as an earlier CA does.
    for (other, cause) in [("another shop", "UnknownIssuer"), ("shop", "BadSignature")] {
        let builder = service.client("https://", "localhost").tls(trusting(&Authority::named(other)));
        let text = refused(builder, "TEMPORAL_TLS_SERVER_CA_CERT_PATH, or with `TlsOptions::server_ca`").await;
        assert!(text.contains(cause), "{text}");
    }
}

#[tokio::test]
async fn a_server_of_another_name_is_not_used_unless_the_name_is_given() {
    let authority = Authority::new();
    let service = Service::with_tls(&authority).await;
    let builder = || service.client("https://", "127.0.0.1");
    let text = refused(builder().tls(trusting(&authority)), "TEMPORAL_TLS_SERVER_NAME").await;
    assert!(text.contains("localhost"), "{text}");
    builder().tls(trusting(&authority).server_name("localhost")).await.unwrap();
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_the_server_wants_one() {
    let authority = Authority::new();
    let tls = identity(&authority).client_ca_root(Certificate::from_pem(&authority.pem));
    let service = Service::start(Some(tls)).await;
    let builder = || service.client("https://", "localhost");
    refused(builder().tls(trusting(&authority)), "TEMPORAL_TLS_CLIENT_CERT_PATH").await;

    let (certificate, key) = Authority::new().certificate("client");
    let stranger = trusting(&authority).client_certificate(certificate, key);
    refused(builder().tls(stranger), "or refuse the one it has").await;

    let (certificate, key) = authority.certificate("client");
    builder().tls(trusting(&authority).client_certificate(certificate, key)).await.unwrap();
}

#[tokio::test]
async fn unusable_tls_options_are_found_before_anything_is_sent() {
    let authority = Authority::new();
    let (certificate, _) = authority.certificate("client");
    let (_, key) = authority.certificate("client");
    let options = trusting(&authority).client_certificate(certificate, key);
    for options in [options, trusting(&authority).server_name("not a name")] {
        let builder = Client::builder("https://localhost:1").tls(options);
        refused(builder, "check the client's certificate with its key, and the server's name").await;
    }
}

#[tokio::test]
async fn missing_tls_is_reported() {
    let service = Service::with_tls(&Authority::new()).await;
    let advice = format!("if the server takes TLS, write `https://localhost:{}`", service.port);
    refused(service.client("http://", "localhost"), &advice).await;
}

#[tokio::test]
async fn tls_with_a_plain_server_is_reported() {
    let service = Service::start(None).await;
    let builder = service.client("https://", "localhost").tls(trusting(&Authority::new()));
    refused(builder, "if the server takes no TLS, write `http://`").await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_no_matter_of_tls() {
    let port = {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let builder = Client::builder(format!("https://127.0.0.1:{port}")).tls(trusting(&Authority::new()));
    let error = builder.await.err().unwrap();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}
