//! Without the feature `profile`: a named profile is an error that names the feature.

use super::error::ConnectError;
use super::options::ClientBuilder;
use super::variables::Variables;

impl ClientBuilder {
    pub(super) fn read_profile(&mut self, variable: Variables<'_>) -> Result<(), ConnectError> {
        match ["TEMPORAL_CONFIG_FILE", "TEMPORAL_PROFILE"].into_iter().find(|name| variable(name).is_some()) {
            None => Ok(()),
            Some(name) => {
                let reason = "asks for a profile, which needs the feature `profile` of `everloop`; add it in `Cargo.toml`, or \
                              say with TEMPORAL_ADDRESS and the other variables what is in it";
                Err(ConnectError::Environment { variable: name, reason: reason.to_owned() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn profile_without_the_feature_names_the_feature() {
        for asked in ["TEMPORAL_CONFIG_FILE", "TEMPORAL_PROFILE"] {
            let builder = ClientBuilder::new("memory:").variables(|name| (name == asked).then(|| "x".to_owned()));
            let error = builder.connect().await.err().unwrap().to_string();
            assert!(
                error.contains(&format!("{asked} asks for a profile, which needs the feature `profile`")),
                "{error}"
            );
        }
    }
}
