//! The standard environment variables.

use super::error::ConnectError;
use super::options::ClientBuilder;
use super::variables::Variables;

impl ClientBuilder {
    pub(super) fn variables(mut self, variable: impl Fn(&'static str) -> Option<String>) -> Self {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        if let Err(refusal) = self.read(&variable) {
            self.refusal.get_or_insert(refusal);
        }
        self
    }

    /// Reads the headers from all variables.
    pub(super) fn rpc_metadata_of(self, all: impl Iterator<Item = (String, String)>) -> Self {
        let headers = all.filter(|(_, value)| !value.is_empty()).filter_map(|(name, value)| {
            let name = name.strip_prefix("TEMPORAL_GRPC_META_")?;
            Some((name.to_ascii_lowercase().replace('_', "-"), value))
        });
        headers.fold(self, |builder, (name, value)| builder.rpc_metadata(name, value))
    }

    fn read(&mut self, variable: Variables<'_>) -> Result<(), ConnectError> {
        self.read_profile(variable)?;
        self.read_settings(variable)
    }

    pub(super) fn read_settings(&mut self, variable: Variables<'_>) -> Result<(), ConnectError> {
        if let Some(address) = variable("TEMPORAL_ADDRESS") {
            self.address = address;
        }
        if let Some(namespace) = variable("TEMPORAL_NAMESPACE") {
            self.namespace = namespace;
        }
        if let Some(key) = variable("TEMPORAL_API_KEY") {
            self.api_key = Some(key);
        }
        self.read_tls(variable)
    }

    fn read_tls(&mut self, variable: Variables<'_>) -> Result<(), ConnectError> {
        let wanted = switch(variable, "TEMPORAL_TLS")?;
        if wanted != Some(false) {
            refuse_unverified(variable)?;
            if let Some(by) = self.tls.read(variable)? {
                self.wants_tls = Some((true, by));
            }
        }
        if let Some(wanted) = wanted {
            self.wants_tls = Some((wanted, "TEMPORAL_TLS"));
        }
        Ok(())
    }
}

fn refuse_unverified(variable: Variables<'_>) -> Result<(), ConnectError> {
    const NAME: &str = "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION";
    if switch(variable, NAME)? != Some(true) {
        return Ok(());
    }
    let reason = "cannot be followed, since who is not verified may be anyone; unset it, and name the server's CA with \
                  TEMPORAL_TLS_SERVER_CA_CERT_PATH and its name with TEMPORAL_TLS_SERVER_NAME";
    Err(ConnectError::Environment { variable: NAME, reason: reason.to_owned() })
}

fn switch(variable: Variables<'_>, name: &'static str) -> Result<Option<bool>, ConnectError> {
    match variable(name).map(|value| value.to_ascii_lowercase()).as_deref() {
        None => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(other) => {
            let reason = format!("is `{other}`; write `true` or `false`");
            Err(ConnectError::Environment { variable: name, reason })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(address: &str, set: &[(&str, &str)]) -> ClientBuilder {
        ClientBuilder::new(address)
            .variables(|name| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned()))
    }

    async fn refusal(address: &str, set: &[(&str, &str)]) -> String {
        builder(address, set).connect().await.err().unwrap().to_string()
    }

    #[test]
    fn the_environment_wins_over_the_default_address() {
        let builder = builder("memory:", &[("TEMPORAL_ADDRESS", "localhost:7233"), ("TEMPORAL_NAMESPACE", "")]);
        assert_eq!((builder.address.as_str(), builder.namespace.as_str()), ("localhost:7233", "default"));
        assert!(builder.refusal.is_none());
    }

    #[test]
    fn headers_are_found_among_all_variables() {
        let all = [("TEMPORAL_GRPC_META_X_TEAM", "shop"), ("TEMPORAL_GRPC_META_EMPTY", ""), ("HOME", "/")];
        let all = all.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let builder = ClientBuilder::new("memory:").rpc_metadata_of(all.into_iter());
        assert_eq!(builder.metadata, [("x-team".to_owned(), "shop".to_owned())]);
    }

    #[tokio::test]
    async fn unsupported_variables_are_rejected_by_name() {
        for (name, value, reason) in [
            ("TEMPORAL_TLS", "maybe", "is `maybe`; write `true` or `false`"),
            ("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", "true", "cannot be followed"),
        ] {
            let error = refusal("memory:", &[(name, value)]).await;
            assert_eq!(error.find(&format!("the environment variable {name} {reason}")), Some(0), "{error}");
        }
    }

    #[tokio::test]
    async fn tls_is_not_dropped_where_the_address_has_no_room_for_it() {
        let on = [("TEMPORAL_TLS", "true")];
        let error = refusal("memory:", &on).await;
        assert!(error.contains("TEMPORAL_TLS asks for TLS, but there is no network"), "{error}");
        let error = refusal("http://localhost:7233", &on).await;
        assert!(error.contains("TEMPORAL_TLS asks for TLS, and `http://` is without"), "{error}");
        let error = refusal("https://localhost:7233", &[("TEMPORAL_TLS", "FALSE")]).await;
        assert!(error.contains("TEMPORAL_TLS switches TLS off"), "{error}");
    }
}
