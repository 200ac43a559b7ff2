//! TLS: trusted certificates, the client's own, and advice for failed connections.

use std::error::Error;
use std::time::Duration;
use std::{fmt, io};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, RootCertStore};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::address::Address;
use super::connection::{causes, was_cut};
use super::error::ConnectError;
use super::variables::Variables;

/// The time limit of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The certificates that a client trusts and its own, all in PEM form: see
/// [`ClientBuilder::tls`](crate::client::ClientBuilder::tls).
///
/// ```no_run
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// use everloop::Client;
/// use everloop::client::TlsOptions;
///
/// let tls = TlsOptions::new()
///     .server_ca(std::fs::read("ca.pem")?)
///     .client_certificate(std::fs::read("client.pem")?, std::fs::read("client.key")?);
/// let client = Client::builder("https://temporal.internal:7233").tls(tls).await?;
/// # drop(client); Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct TlsOptions {
    server_ca: Option<Vec<u8>>,
    client_certificate: Option<Vec<u8>>,
    client_key: Option<Vec<u8>>,
    server_name: Option<String>,
}

impl TlsOptions {
    /// Options that trust the certificates of this machine, without a client certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the CA certificates that are trusted for the server, in place of those of this machine.
    pub fn server_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.server_ca = Some(pem.into());
        self
    }

    /// Sets the client certificate for servers that request one, with its intermediate certificates, and its key.
    pub fn client_certificate(mut self, pem: impl Into<Vec<u8>>, key_pem: impl Into<Vec<u8>>) -> Self {
        self.client_certificate = Some(pem.into());
        self.client_key = Some(key_pem.into());
        self
    }

    /// Sets the name in the server's certificate, if it differs from the address.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Merges options: those of `self` take precedence.
    pub(super) fn or(self, others: Self) -> Self {
        Self {
            server_ca: self.server_ca.or(others.server_ca),
            client_certificate: self.client_certificate.or(others.client_certificate),
            client_key: self.client_key.or(others.client_key),
            server_name: self.server_name.or(others.server_name),
        }
    }

    /// Reads the environment. Returns the name of a variable that was set.
    pub(super) fn read(&mut self, variable: Variables<'_>) -> Result<Option<&'static str>, ConnectError> {
        let mut by = None;
        let mut read = |field: &mut Option<Vec<u8>>, path, data| -> Result<(), ConnectError> {
            if let Some((name, pem)) = pem(variable, path, data)? {
                *field = Some(pem);
                by = Some(name);
            }
            Ok(())
        };
        read(&mut self.server_ca, "TEMPORAL_TLS_SERVER_CA_CERT_PATH", "TEMPORAL_TLS_SERVER_CA_CERT_DATA")?;
        read(&mut self.client_certificate, "TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_CERT_DATA")?;
        read(&mut self.client_key, "TEMPORAL_TLS_CLIENT_KEY_PATH", "TEMPORAL_TLS_CLIENT_KEY_DATA")?;
        if let Some(name) = variable("TEMPORAL_TLS_SERVER_NAME") {
            self.server_name = Some(name);
            by = Some("TEMPORAL_TLS_SERVER_NAME");
        }
        Ok(by)
    }

    /// Applies these options to an endpoint.
    pub(super) fn apply(&self, endpoint: Endpoint, address: &Address) -> Result<Endpoint, ConnectError> {
        let fail = |(cause, advice): (String, &str)| ConnectError::Tls {
            address: address.to_string(),
            cause,
            advice: advice.to_owned(),
        };
        let config = self.config().map_err(fail)?;
        endpoint.clone().tls_config(config).map_err(|error| {
            let trusts_this_machine = ClientTlsConfig::new().with_native_roots();
            if self.server_ca.is_none() && endpoint.tls_config(trusts_this_machine).is_err() {
                return fail(("this machine names nobody who may vouch for servers".to_owned(), TRUST));
            }
            let cause = causes(&error).last().map(ToString::to_string).unwrap_or_default();
            fail((cause, "check the client's certificate with its key, and the server's name"))
        })
    }

    fn config(&self) -> Result<ClientTlsConfig, (String, &'static str)> {
        let config = ClientTlsConfig::new().timeout(HANDSHAKE);
        let config = match &self.server_ca {
            Some(pem) => {
                certificates(pem).map_err(|cause| (format!("the server's CA: {cause}"), PEM))?;
                config.ca_certificate(Certificate::from_pem(pem))
            }
            None => config.with_native_roots(),
        };
        let config = match (&self.client_certificate, &self.client_key) {
            (Some(certificate), Some(key)) => {
                certificates(certificate).map_err(|cause| (format!("the client's certificate: {cause}"), PEM))?;
                PrivateKeyDer::from_pem_slice(key).map_err(|cause| (format!("the client's key: {cause}"), PEM))?;
                config.identity(Identity::from_pem(certificate, key))
            }
            (None, None) => config,
            (Some(_), None) => return Err(("the client's certificate has no key".to_owned(), KEY)),
            (None, Some(_)) => return Err(("the client's key has no certificate".to_owned(), CERTIFICATE)),
        };
        Ok(match &self.server_name {
            Some(name) => config.domain_name(name),
            None => config,
        })
    }
}

const PEM: &str = "give it in PEM form";
const KEY: &str = "give it with TEMPORAL_TLS_CLIENT_KEY_PATH, or with `TlsOptions::client_certificate`";
const CERTIFICATE: &str = "give it with TEMPORAL_TLS_CLIENT_CERT_PATH, or with `TlsOptions::client_certificate`";

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// Reads text in PEM form from a file or from the variable itself. Returns it with the name of the variable.
fn pem(
    variable: Variables<'_>,
    path: &'static str,
    data: &'static str,
) -> Result<Option<(&'static str, Vec<u8>)>, ConnectError> {
    match (variable(path), variable(data)) {
        (None, None) => Ok(None),
        (None, Some(text)) => Ok(Some((data, text.into_bytes()))),
        (Some(file), None) => match std::fs::read(&file) {
            Ok(text) => Ok(Some((path, text))),
            Err(error) => {
                let reason = format!("names the file {file}, which cannot be read: {error}");
                Err(ConnectError::Environment { variable: path, reason })
            }
        },
        (Some(_), Some(_)) => {
            let reason = format!("says the same as {path}; unset one of them");
            Err(ConnectError::Environment { variable: data, reason })
        }
    }
}

/// Checks that the text has certificates, and that all of them can be parsed.
fn certificates(pem: &[u8]) -> Result<(), String> {
    let mut readable = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        readable.add(certificate).map_err(|error| error.to_string())?;
    }
    if readable.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(()) }
}

/// The advice about a failed connection with TLS; `None` if TLS is not the reason.
pub(super) fn advice(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return Some(about(error).to_owned());
    }
    if was_cut(error) {
        return Some(SHOW.to_owned());
    }
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    let kind = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    matches!(kind, Some(BrokenPipe | ConnectionReset | UnexpectedEof)).then(|| PLAIN.to_owned())
}

const PLAIN: &str = "if the server takes no TLS, write `http://`";
const SHOW: &str = "the server may ask for a certificate of the client, or refuse the one it has: give it with \
                    TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH, or with `TlsOptions::client_certificate`";
const TRUST: &str = "name the CA that vouches for the server with TEMPORAL_TLS_SERVER_CA_CERT_PATH, or with \
                     `TlsOptions::server_ca`";
const NAME: &str = "if it is the right server, say which name its certificate has with TEMPORAL_TLS_SERVER_NAME, or with \
                    `TlsOptions::server_name`";

fn about(error: &rustls::Error) -> &'static str {
    use CertificateError::{BadSignature, NotValidForName, NotValidForNameContext, UnknownIssuer};
    match error {
        // A signature is invalid if a CA of the same name with another key is trusted, such as an earlier one.
        rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature) => TRUST,
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => NAME,
        rustls::Error::InvalidCertificate(_) => "the server needs another certificate",
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the server offers no HTTP/2 there; is it the port for gRPC?"
        }
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => "the server needs TLS 1.2 or later",
        rustls::Error::AlertReceived(_) => SHOW,
        _ => PLAIN,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Client;
    use super::*;

    #[tokio::test]
    async fn unusable_tls_options_are_named() {
        for (options, reason) in [
            (TlsOptions::new().server_ca("no certificate"), "the server's CA: there is no certificate in it"),
            (TlsOptions { client_key: Some(Vec::new()), ..TlsOptions::new() }, "key has no certificate; give it with"),
            (TlsOptions { client_certificate: Some(Vec::new()), ..TlsOptions::new() }, "has no key; give it with"),
        ] {
            let error = Client::builder("localhost:7233").tls(options).await.err().unwrap().to_string();
            assert!(error.starts_with("no connection with https://localhost:7233: "), "{error}");
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn the_environment_wins_over_what_was_set_before() {
        let before = TlsOptions::new().server_ca("a").server_name("b");
        let builder = Client::builder("localhost:7233").tls(before).variables(|name| match name {
            "TEMPORAL_TLS_SERVER_CA_CERT_DATA" => Some("c".to_owned()),
            "TEMPORAL_TLS_CLIENT_CERT_PATH" => Some("Cargo.toml".to_owned()),
            _ => None,
        });
        assert!(builder.refusal.is_none());
        assert_eq!(builder.tls.server_ca.as_deref(), Some(b"c".as_slice()));
        assert_eq!(builder.tls.server_name.as_deref(), Some("b"));
        assert!(builder.tls.client_certificate.unwrap().starts_with(b"[package]"));
        assert_eq!(builder.wants_tls, Some((true, "TEMPORAL_TLS_CLIENT_CERT_PATH")));
    }

    #[tokio::test]
    async fn files_of_the_environment_are_named_when_they_cannot_be_read() {
        let path = "TEMPORAL_TLS_SERVER_CA_CERT_PATH";
        let builder = Client::builder("localhost:7233").variables(|name| (name == path).then(|| "no/such.pem".into()));
        let error = builder.connect().await.err().unwrap().to_string();
        assert!(error.contains(&format!("{path} names the file no/such.pem, which cannot be read")), "{error}");

        let builder = Client::builder("localhost:7233")
            .variables(|name| name.starts_with("TEMPORAL_TLS_CLIENT_KEY").then(|| "x".to_owned()));
        let error = builder.connect().await.err().unwrap().to_string();
        assert!(
            error.contains("TEMPORAL_TLS_CLIENT_KEY_DATA says the same as TEMPORAL_TLS_CLIENT_KEY_PATH"),
            "{error}"
        );
    }
}
