//! Without the feature `tls`: a request for TLS is an error that names the feature.

use std::error::Error;

use tonic::transport::Endpoint;

use super::address::Address;
use super::error::ConnectError;
use super::variables::Variables;

const NEEDED: &str = "TLS needs the feature `tls` of `everloop`; add it in `Cargo.toml`";

/// No options, because there is no TLS.
#[derive(Default)]
pub(super) struct TlsOptions;

impl TlsOptions {
    pub(super) fn read(&mut self, variable: Variables<'_>) -> Result<Option<&'static str>, ConnectError> {
        const NAMES: [&str; 7] = [
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
            "TEMPORAL_TLS_SERVER_CA_CERT_DATA",
            "TEMPORAL_TLS_CLIENT_CERT_PATH",
            "TEMPORAL_TLS_CLIENT_CERT_DATA",
            "TEMPORAL_TLS_CLIENT_KEY_PATH",
            "TEMPORAL_TLS_CLIENT_KEY_DATA",
            "TEMPORAL_TLS_SERVER_NAME",
        ];
        match NAMES.into_iter().find(|name| variable(name).is_some()) {
            None => Ok(None),
            Some(name) => {
                let reason = format!("asks for TLS: {NEEDED}, or set TEMPORAL_TLS to `false`");
                Err(ConnectError::Environment { variable: name, reason })
            }
        }
    }

    pub(super) fn apply(&self, _: Endpoint, address: &Address) -> Result<Endpoint, ConnectError> {
        let reason = format!("{NEEDED}, or write `http://HOST:PORT` to go without (a key alone asks for TLS)");
        Err(ConnectError::Address { address: address.to_string(), reason })
    }
}

pub(super) fn advice(_: &(dyn Error + 'static)) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::super::Client;

    #[tokio::test]
    async fn request_for_tls_without_the_feature_names_the_feature() {
        let named = Client::builder("https://localhost:7233");
        let switched = Client::builder("localhost:7233").variables(|name| (name == "TEMPORAL_TLS").then(|| "1".into()));
        let keyed = Client::builder("localhost:7233").api_key("key");
        let trusting = Client::builder("localhost:7233")
            .variables(|name| (name == "TEMPORAL_TLS_SERVER_NAME").then(|| "temporal.internal".into()));
        for (builder, asker) in [
            (named, "the address `https://localhost:7233`"),
            (switched, "the address `https://localhost:7233`"),
            (keyed, "the address `https://localhost:7233`"),
            (trusting, "the environment variable TEMPORAL_TLS_SERVER_NAME"),
        ] {
            let error = builder.connect().await.err().unwrap().to_string();
            assert!(error.starts_with(asker) && error.contains("TLS needs the feature `tls`"), "{error}");
        }
    }
}
