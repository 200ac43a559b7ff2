//! Profiles: named connection settings in the file that Temporal's tools share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::ConnectError;
use super::options::ClientBuilder;
use super::variables::Variables;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    profile: BTreeMap<String, Profile>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Profile {
    address: Option<String>,
    namespace: Option<String>,
    api_key: Option<String>,
    tls: Option<Tls>,
    grpc_meta: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Tls {
    disabled: bool,
    server_ca_cert_path: Option<String>,
    server_ca_cert_data: Option<String>,
    client_cert_path: Option<String>,
    client_cert_data: Option<String>,
    client_key_path: Option<String>,
    client_key_data: Option<String>,
    server_name: Option<String>,
    disable_host_verification: Option<bool>,
}

impl ClientBuilder {
    /// Reads the profile, if the environment names one.
    ///
    /// The file is not read without such a variable: otherwise a program on `memory:` would connect to a cluster on a machine
    /// that has the file.
    pub(super) fn read_profile(&mut self, variable: Variables<'_>) -> Result<(), ConnectError> {
        let (file, name) = match (variable("TEMPORAL_CONFIG_FILE"), variable("TEMPORAL_PROFILE")) {
            (None, None) => return Ok(()),
            (Some(file), name) => (PathBuf::from(file), name),
            (None, name) => (usual_file(variable)?, name),
        };
        let name = name.unwrap_or_else(|| "default".to_owned());
        let fail = |reason: String| ConnectError::Profile { file: file.display().to_string(), reason };
        let mut profile = profile(&file, &name).map_err(fail)?;
        let headers = std::mem::take(&mut profile.grpc_meta);
        self.metadata.extend(headers.into_iter().map(|(name, value)| (name.replace('_', "-"), value)));
        let said = profile.variables();
        let before = self.wants_tls.take();
        let read =
            self.read_settings(&|name| said.iter().find(|(said, _)| *said == name).map(|(_, value)| value.clone()));
        self.wants_tls = self.wants_tls.map(|(wanted, _)| (wanted, "the profile")).or(before);
        read.map_err(|error| match error {
            ConnectError::Environment { variable, reason } => {
                fail(format!("profile `{name}`: {} {reason}", key(variable)))
            }
            other => other,
        })
    }
}

/// The default path of the file.
fn usual_file(variable: Variables<'_>) -> Result<PathBuf, ConnectError> {
    let folder = if cfg!(windows) {
        variable("APPDATA").map(PathBuf::from)
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| Path::new(&home).join("Library/Application Support"))
    } else {
        let home = || variable("HOME").map(|home| Path::new(&home).join(".config"));
        variable("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home)
    };
    folder.map(|folder| folder.join("temporalio").join("temporal.toml")).ok_or_else(|| ConnectError::Environment {
        variable: "TEMPORAL_PROFILE",
        reason: "names a profile, and nothing says where its file is; name it with TEMPORAL_CONFIG_FILE".to_owned(),
    })
}

fn profile(file: &Path, name: &str) -> Result<Profile, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("it cannot be read: {error}"))?;
    let mut profiles = toml::from_str::<File>(&text).map_err(|error| error.to_string())?.profile;
    profiles.remove(name).ok_or_else(|| {
        let known: Vec<_> = profiles.keys().map(|known| format!("`{known}`")).collect();
        format!("there is no profile `{name}` in it, only: {}", known.join(", "))
    })
}

impl Profile {
    /// Converts the profile into the equivalent variables.
    fn variables(self) -> Vec<(&'static str, String)> {
        let mut said = vec![
            ("TEMPORAL_ADDRESS", self.address),
            ("TEMPORAL_NAMESPACE", self.namespace),
            ("TEMPORAL_API_KEY", self.api_key),
        ];
        if let Some(tls) = self.tls {
            said.extend([
                ("TEMPORAL_TLS", Some((!tls.disabled).to_string())),
                ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", tls.server_ca_cert_path),
                ("TEMPORAL_TLS_SERVER_CA_CERT_DATA", tls.server_ca_cert_data),
                ("TEMPORAL_TLS_CLIENT_CERT_PATH", tls.client_cert_path),
                ("TEMPORAL_TLS_CLIENT_CERT_DATA", tls.client_cert_data),
                ("TEMPORAL_TLS_CLIENT_KEY_PATH", tls.client_key_path),
                ("TEMPORAL_TLS_CLIENT_KEY_DATA", tls.client_key_data),
                ("TEMPORAL_TLS_SERVER_NAME", tls.server_name),
                ("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", tls.disable_host_verification.map(|is| is.to_string())),
            ]);
        }
        said.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// The name of a variable in a profile.
fn key(variable: &str) -> String {
    let name = variable.trim_start_matches("TEMPORAL_").to_ascii_lowercase();
    match name.strip_prefix("tls_") {
        Some(name) => format!("`tls.{name}`"),
        None => format!("`{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const FILE: &str = r#"
        [profile.default]
        address = "localhost:7233"
        namespace = "shop"

        [profile.staging]
        address = "staging.internal:7233"
        api_key = "secret"
        grpc_meta = { x_team = "shop" }

        [profile.staging.tls]
        disabled = true

        [profile.strict.tls]
        server_ca_cert_path = "no/such.pem"
    "#;

    /// Creates a builder that reads this file, with these variables.
    fn builder(file: &str, set: &[(&str, &str)]) -> ClientBuilder {
        let mut on_disk = tempfile::NamedTempFile::new().unwrap();
        on_disk.write_all(file.as_bytes()).unwrap();
        let path = on_disk.path().to_str().unwrap();
        ClientBuilder::new("memory:").variables(|name| match name {
            "TEMPORAL_CONFIG_FILE" => Some(path.to_owned()),
            _ => set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned()),
        })
    }

    async fn refusal(file: &str, set: &[(&str, &str)]) -> String {
        builder(file, set).connect().await.err().unwrap().to_string()
    }

    #[test]
    fn variables_take_precedence_over_the_profile() {
        let default = builder(FILE, &[]);
        assert_eq!((default.address.as_str(), default.namespace.as_str()), ("localhost:7233", "shop"));
        let staging = builder(FILE, &[("TEMPORAL_PROFILE", "staging"), ("TEMPORAL_NAMESPACE", "orders")]);
        assert!(staging.refusal.is_none());
        assert_eq!((staging.address.as_str(), staging.namespace.as_str()), ("staging.internal:7233", "orders"));
        assert_eq!((staging.api_key.as_deref(), staging.wants_tls), (Some("secret"), Some((false, "the profile"))));
        assert_eq!(staging.metadata, [("x-team".to_owned(), "shop".to_owned())]);
    }

    #[tokio::test]
    async fn unsupported_profiles_are_rejected_by_name() {
        let error = refusal("[profile.default]\naddres = 'localhost:7233'", &[]).await;
        assert!(error.contains("unknown field `addres`") && error.contains("line 2"), "{error}");
        let error = refusal(FILE, &[("TEMPORAL_PROFILE", "production")]).await;
        assert!(error.contains("no profile `production` in it, only: `default`, `staging`, `strict`"), "{error}");
        let unverified = "profile.default.tls.disable_host_verification = true";
        let error = refusal(unverified, &[]).await;
        assert!(error.contains("profile `default`: `tls.disable_host_verification` cannot be followed"), "{error}");
        let named =
            ClientBuilder::new("memory:").variables(|name| (name == "TEMPORAL_PROFILE").then(|| "x".to_owned()));
        let error = named.connect().await.err().unwrap().to_string();
        assert!(error.contains("name it with TEMPORAL_CONFIG_FILE"), "{error}");
    }

    #[cfg(feature = "tls")]
    #[tokio::test]
    async fn a_file_that_a_profile_names_is_named_with_its_key() {
        let error = refusal(FILE, &[("TEMPORAL_PROFILE", "strict")]).await;
        assert!(error.contains("profile `strict`: `tls.server_ca_cert_path` names the file no/such.pem"), "{error}");
    }
}
