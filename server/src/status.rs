//! gRPC statuses with a Temporal error detail.

use everloop_proto::google::rpc;
use everloop_proto::temporal::api::enums::v1::{ResourceExhaustedCause, ResourceExhaustedScope};
use everloop_proto::temporal::api::errordetails::v1::ResourceExhaustedFailure;
use prost::{Message, Name};
use prost_types::Any;
use tonic::{Code, Status};

use crate::store::StoreError;

/// Creates a status whose first detail, the only one that clients read, is `detail`.
pub(crate) fn with_detail<D: Name>(code: Code, message: impl Into<String>, detail: &D) -> Status {
    let message = message.into();
    let detail = Any { type_url: D::type_url(), value: detail.encode_to_vec() };
    let status = rpc::Status { code: code.into(), message: message.clone(), details: vec![detail] };
    Status::with_details(code, message, status.encode_to_vec().into())
}

/// The `google.rpc.ErrorInfo` message, with the fields that we set.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
}

impl Name for ErrorInfo {
    const PACKAGE: &'static str = "google.rpc";
    const NAME: &'static str = "ErrorInfo";

    fn type_url() -> String {
        format!("type.googleapis.com/{}", Self::full_name())
    }
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Failed { .. } => {
                // Clients that know this reason do not retry: the engine has to be restarted.
                let detail = ErrorInfo { reason: "STORE_FAILED".to_owned(), domain: "everloop".to_owned() };
                with_detail(Code::Unavailable, error.to_string(), &detail)
            }
            StoreError::Locked { .. } => Self::unavailable(error.to_string()),
            StoreError::ReadOnly { .. } => Self::failed_precondition(error.to_string()),
            StoreError::TooSlow { .. } => Self::deadline_exceeded(error.to_string()),
            StoreError::Busy { .. } | StoreError::Crowded { .. } => {
                let detail = ResourceExhaustedFailure {
                    cause: ResourceExhaustedCause::PersistenceLimit.into(),
                    scope: ResourceExhaustedScope::System.into(),
                };
                with_detail(Code::ResourceExhausted, error.to_string(), &detail)
            }
        }
    }
}
