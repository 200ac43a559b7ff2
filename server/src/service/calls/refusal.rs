//! Refusals of the engine as gRPC statuses.

use tonic::{Code, Status};

use crate::api::enums::{ResourceExhaustedCause, ResourceExhaustedScope};
use crate::api::errordetails::{
    NotFoundFailure, PermissionDeniedFailure, ResourceExhaustedFailure, WorkflowExecutionAlreadyStartedFailure,
    WorkflowNotReadyFailure,
};
use crate::engine::error::Refusal;
use crate::status::with_detail;

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        let exhausted = |cause: ResourceExhaustedCause| ResourceExhaustedFailure {
            cause: cause as i32,
            scope: ResourceExhaustedScope::Namespace as i32,
        };
        match refusal {
            Refusal::NotFound(_) => with_detail(Code::NotFound, message, &NotFoundFailure::default()),
            Refusal::InvalidArgument(_) => Self::invalid_argument(message),
            Refusal::FailedPrecondition(_) => Self::failed_precondition(message),
            Refusal::NotReady(_) => with_detail(Code::FailedPrecondition, message, &WorkflowNotReadyFailure {}),
            Refusal::Busy(_) => {
                with_detail(Code::ResourceExhausted, message, &exhausted(ResourceExhaustedCause::BusyWorkflow))
            }
            Refusal::TooMany(_) => {
                with_detail(Code::ResourceExhausted, message, &exhausted(ResourceExhaustedCause::ConcurrentLimit))
            }
            Refusal::Unsupported(_) => Self::unimplemented(message),
            Refusal::Denied(_) => with_detail(Code::PermissionDenied, message, &PermissionDeniedFailure::default()),
            Refusal::Unavailable(_) => Self::unavailable(message),
            Refusal::Damaged(_) => Self::data_loss(message),
            Refusal::AlreadyStarted { start_request_id, run_id, first_run_id, .. } => {
                let detail = WorkflowExecutionAlreadyStartedFailure {
                    start_request_id,
                    run_id: run_id.to_string(),
                    first_execution_run_id: first_run_id.to_string(),
                };
                with_detail(Code::AlreadyExists, message, &detail)
            }
        }
    }
}
