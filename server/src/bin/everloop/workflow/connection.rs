//! The target of a command, and calls to its server.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use everloop_server::Engine;
use tonic::body::Body;
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use super::address::Address;
use super::error::{CommandError, innermost};
use super::place::Place;
use crate::arguments::workflow::ServerArguments;

/// The timeout of connecting to the server.
const CONNECT: Duration = Duration::from_secs(5);
/// The timeout of a call.
const CALL: Duration = Duration::from_secs(10);
/// The timeout of a call that waits for an event.
const LONG_CALL: Duration = Duration::from_secs(70);
/// Responses with histories can be large.
const LARGEST_REPLY_BYTES: usize = 128 << 20;
/// Servers recognize tools by this name, and omit events that are not part of the history yet.
const CLIENT_NAME: &str = "temporal-cli";

/// The server and namespace of a command.
#[derive(Debug)]
pub(crate) struct CommandTarget {
    place: Place,
    namespace: String,
    /// The value of the `authorization` header, if the server needs a key.
    authorization: Option<AsciiMetadataValue>,
}

impl CommandTarget {
    /// Combines the flags with the standard environment variables; flags take precedence.
    pub(super) fn new(
        arguments: &ServerArguments,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, CommandError> {
        if let Some(file) = &arguments.db_filename {
            let namespace = arguments.namespace.clone().unwrap_or_else(|| "default".to_owned());
            return Ok(Self { place: Place::File(file.clone()), namespace, authorization: None });
        }
        let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let is_off = |name: &str, value: &str| name == "TEMPORAL_TLS" && matches!(value, "false" | "0");
        let mut tls = environment.iter().filter(|(name, _)| name.starts_with("TEMPORAL_TLS"));
        if let Some((variable, _)) = tls.find(|(name, value)| !value.is_empty() && !is_off(name, value)) {
            let reason = "this version does not support TLS; unset it".to_owned();
            return Err(CommandError::Environment { variable: variable.clone(), reason });
        }
        let address = match (&arguments.address, variable("TEMPORAL_ADDRESS")) {
            (Some(address), _) => address.clone(),
            (None, Some(address)) => address.parse()?,
            (None, None) => Address::default(),
        };
        let namespace = arguments.namespace.as_ref().or(variable("TEMPORAL_NAMESPACE"));
        let authorization = variable("TEMPORAL_API_KEY").map(|key| {
            let authorization = MetadataValue::try_from(format!("Bearer {key}"));
            authorization.map_err(|_| CommandError::Environment {
                variable: "TEMPORAL_API_KEY".to_owned(),
                reason: "a header cannot hold it".to_owned(),
            })
        });
        Ok(Self {
            place: Place::Server(address),
            namespace: namespace.map_or("default", String::as_str).to_owned(),
            authorization: authorization.transpose()?,
        })
    }
}

/// Calls go through a socket, or to an in-process engine that reads a file.
pub(super) type Transport = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;

/// A method of the generated client.
pub(super) trait ClientMethod<Q, A>:
    AsyncFnOnce(&mut WorkflowServiceClient<Transport>, Request<Q>) -> Result<Response<A>, Status>
{
}

impl<Q, A, C> ClientMethod<Q, A> for C where
    C: AsyncFnOnce(&mut WorkflowServiceClient<Transport>, Request<Q>) -> Result<Response<A>, Status>
{
}

/// A connection to a server that responds.
pub(super) struct Connection {
    client: WorkflowServiceClient<Transport>,
    target: CommandTarget,
    /// The reason why nothing can be changed, if a file is read.
    read_only: Option<String>,
}

impl Connection {
    pub(super) async fn open(target: CommandTarget) -> Result<Self, CommandError> {
        let (transport, read_only) = match &target.place {
            Place::Server(address) => (connect(address).await?, None),
            Place::File(file) => {
                let engine = Engine::open_read_only(file).map_err(|error| CommandError::File(error.to_string()))?;
                let service = engine.workflow_service().map_request(|request: http::Request<Body>| request);
                let service = service.map_err(|never: Infallible| match never {});
                (Transport::new(service), engine.read_only_advice())
            }
        };
        let client = WorkflowServiceClient::new(transport).max_decoding_message_size(LARGEST_REPLY_BYTES);
        Ok(Self { client, target, read_only })
    }

    /// Checks that the target allows more than reading.
    pub(super) fn check_can(&self, what: &'static str) -> Result<(), CommandError> {
        match &self.read_only {
            Some(advice) => Err(CommandError::ReadOnly { what, advice: advice.clone() }),
            None => Ok(()),
        }
    }

    /// Whether a file is read directly, not through the engine that may have it open.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.target.place, Place::File(_))
    }

    pub(super) fn namespace(&self) -> String {
        self.target.namespace.clone()
    }

    /// Makes a call: `server.call(request, WorkflowServiceClient::describe_workflow_execution)`.
    pub(super) async fn call<Q, A>(&self, request: Q, call: impl ClientMethod<Q, A>) -> Result<A, CommandError> {
        self.call_within(CALL, request, call).await.map_err(|status| self.failure(status))
    }

    /// As [`Connection::call`], for a call that waits for an event.
    pub(super) async fn long_call<Q, A>(&self, request: Q, call: impl ClientMethod<Q, A>) -> Result<A, CommandError> {
        self.call_within(LONG_CALL, request, call).await.map_err(|status| self.failure(status))
    }

    /// As [`Connection::call`], for callers that interpret the status themselves.
    pub(super) async fn try_call<Q, A>(&self, request: Q, call: impl ClientMethod<Q, A>) -> Result<A, Status> {
        self.call_within(CALL, request, call).await
    }

    async fn call_within<Q, A>(&self, limit: Duration, request: Q, call: impl ClientMethod<Q, A>) -> Result<A, Status> {
        let mut request = Request::new(request);
        request.set_timeout(limit);
        let metadata = request.metadata_mut();
        metadata.insert("client-name", AsciiMetadataValue::from_static(CLIENT_NAME));
        if let Some(authorization) = &self.target.authorization {
            metadata.insert("authorization", authorization.clone());
        }
        Ok(call(&mut self.client.clone(), request).await?.into_inner())
    }

    pub(super) fn failure(&self, status: Status) -> CommandError {
        CommandError::of_call(status, &self.target.namespace, &self.target.place)
    }

    /// The error for a response without a field that the protocol requires.
    pub(super) fn without(&self, missing: &'static str) -> CommandError {
        CommandError::Incomplete { place: self.target.place.clone(), missing }
    }
}

async fn connect(address: &Address) -> Result<Transport, CommandError> {
    let unreachable = |error: tonic::transport::Error| CommandError::Unreachable {
        address: address.clone(),
        reason: innermost(&error),
    };
    let endpoint = Endpoint::from_shared(address.uri()).map_err(unreachable)?.connect_timeout(CONNECT);
    let channel = endpoint.connect().await.map_err(unreachable)?;
    Ok(Transport::new(channel.map_err(|error| Status::from_error(error.into()))))
}

/// The identity for histories.
pub(super) fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    let host = host.as_deref().map(str::trim).filter(|host| !host.is_empty()).unwrap_or("localhost");
    format!("everloop-cli:{}@{host}", user())
}

/// The name of the user, as far as it is known.
pub(super) fn user() -> String {
    let names = ["USER", "LOGNAME", "USERNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| "unknown-user".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(address: Option<&str>, environment: &[(&str, &str)]) -> Result<CommandTarget, String> {
        let address = address.map(|address| address.parse().unwrap());
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        CommandTarget::new(&ServerArguments { address, db_filename: None, namespace: None }, &environment)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn flags_override_variables_and_variables_override_defaults() {
        let usual = target(None, &[("TEMPORAL_ADDRESS", ""), ("TEMPORAL_TLS", "false")]).unwrap();
        assert_eq!((usual.place, usual.namespace.as_str()), (Place::Server(Address::default()), "default"));
        let variables = [("TEMPORAL_ADDRESS", "shop:1"), ("TEMPORAL_NAMESPACE", "shop"), ("TEMPORAL_API_KEY", "k")];
        let said = target(None, &variables).unwrap();
        assert_eq!((said.place.to_string().as_str(), said.namespace.as_str()), ("shop:1", "shop"));
        assert_eq!(said.authorization.unwrap(), "Bearer k");
        assert_eq!(target(Some("bar:2"), &variables).unwrap().place.to_string(), "bar:2");
    }

    #[test]
    fn errors_name_unsupported_variables() {
        let tls = target(None, &[("TEMPORAL_TLS_SERVER_NAME", "shop")]).unwrap_err();
        assert_eq!(tls, "TEMPORAL_TLS_SERVER_NAME is set: this version does not support TLS; unset it");
        let key = target(None, &[("TEMPORAL_API_KEY", "a\nb")]).unwrap_err();
        assert!(key.starts_with("TEMPORAL_API_KEY"), "{key}");
        let address = target(None, &[("TEMPORAL_ADDRESS", "shop")]).unwrap_err();
        assert_eq!(address, "TEMPORAL_ADDRESS: the port of `shop` is missing; write HOST:PORT");
    }
}
