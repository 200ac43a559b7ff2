//! gRPC statuses with a Temporal error detail.

use everloop_proto::google::rpc;
use everloop_proto::temporal::api::enums::v1::{ResourceExhaustedCause, ResourceExhaustedScope};
use everloop_proto::temporal::api::errordetails::v1::ResourceExhaustedFailure;
use prost::{Message, Name};
use prost_types::Any;
use tonic::{Code, Status};

use crate::store::StoreError;

/// A status whose first detail, the only one that clients look at, is the given message.
pub(crate) fn with_detail<D: Name>(code: Code, message: impl Into<String>, detail: &D) -> Status {
    let message = message.into();
    let detail = Any { type_url: D::type_url(), value: detail.encode_to_vec() };
    let status = rpc::Status { code: code.into(), message: message.clone(), details: vec![detail] };
    Status::with_details(code, message, status.encode_to_vec().into())
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Failed { .. } => Self::unavailable(error.to_string()),
            StoreError::Busy { .. } => {
                let detail = ResourceExhaustedFailure {
                    cause: ResourceExhaustedCause::PersistenceLimit.into(),
                    scope: ResourceExhaustedScope::System.into(),
                };
                with_detail(Code::ResourceExhausted, error.to_string(), &detail)
            }
        }
    }
}
