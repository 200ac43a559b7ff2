//! Workflow types behind pointers: the interface between the executor and user code.

use std::any::Any;
use std::rc::Rc;

use everloop_proto::temporal::api::command::v1::command::Attributes;

use super::coroutine::LocalFuture;
use crate::data::{DecodeError, Headers, UnfinishedPolicy};
use crate::errors::WorkflowError;
use crate::raw;

/// A workflow type.
pub(crate) trait Definition: Send + Sync {
    fn name(&self) -> &'static str;
    /// Creates the workflow's state with `#[init]` or `Default`.
    fn instantiate(&self, input: &[raw::Payload]) -> Result<Rc<dyn Instance>, DecodeError>;

    /// Sees a command that leaves for the first time, and may extend its headers. `message` holds the headers of the message whose
    /// handler issues it.
    fn outgoing(&self, _command: &mut Attributes, _message: &Headers) {}

    /// Whether `outgoing` does something.
    fn sees_commands(&self) -> bool {
        false
    }
}

/// One workflow's state with its methods. `headers` belong to the message that is handled; for `run`, to the start.
pub(crate) trait Instance {
    fn run(
        &self,
        input: &[raw::Payload],
        headers: &Headers,
    ) -> Result<LocalFuture<Result<raw::Payload, WorkflowError>>, DecodeError>;
    /// Starts the handler of a signal; `None` if there is no such signal.
    fn signal(&self, name: &str, input: &[raw::Payload], headers: &Headers) -> Option<Started<()>>;
    /// Returns the result of a query; `None` if there is no such query.
    fn query(
        &self,
        name: &str,
        input: &[raw::Payload],
        headers: &Headers,
    ) -> Option<Result<raw::Payload, WorkflowError>>;
    /// Calls the validator of an update; `None` if there is no such update.
    fn validate(&self, name: &str, input: &[raw::Payload], headers: &Headers) -> Option<Result<(), WorkflowError>>;
    /// Starts the handler of an update; `None` if there is no such update.
    fn update(&self, name: &str, input: &[raw::Payload], headers: &Headers) -> Option<Started<raw::Payload>>;
    fn signal_names(&self) -> Vec<&'static str>;
    fn query_names(&self) -> Vec<&'static str>;
    fn update_names(&self) -> Vec<&'static str>;
    /// The `Rc` of the user's type.
    fn workflow(&self) -> Rc<dyn Any>;
}

/// A handler that was started, and its policy for the case that the workflow ends first.
pub(crate) type Started<T> = Result<(LocalFuture<Result<T, WorkflowError>>, UnfinishedPolicy), DecodeError>;
