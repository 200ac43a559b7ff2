//! Cuts deep failures in incoming requests.
//!
//! A request from a socket was decoded, so its depth is limited. An in-process request can contain a chain of causes of
//! any length: cloning, encoding or even dropping a long one would overflow the stack.

use crate::api::command::command::Attributes;
use crate::api::failure::Failure;
use crate::api::workflowservice::*;
use crate::engine::failure::cut_causes;

/// A request that may contain failures.
pub(in crate::service) trait CarriesFailures {
    fn failures(&mut self) -> impl Iterator<Item = &mut Failure>;

    /// Cuts every chain of causes that is too long to be decoded again.
    fn cut_causes(&mut self) {
        self.failures().for_each(cut_causes);
    }
}

macro_rules! carry_one {
    ($($request:ident . $field:ident,)*) => {$(
        impl CarriesFailures for $request {
            fn failures(&mut self) -> impl Iterator<Item = &mut Failure> {
                self.$field.iter_mut()
            }
        }
    )*};
}

carry_one! {
    StartWorkflowExecutionRequest.continued_failure,
    RespondWorkflowTaskFailedRequest.failure,
    RespondQueryTaskCompletedRequest.failure,
    RespondActivityTaskFailedRequest.failure,
    RespondActivityTaskFailedByIdRequest.failure,
}

impl CarriesFailures for RespondWorkflowTaskCompletedRequest {
    fn failures(&mut self) -> impl Iterator<Item = &mut Failure> {
        let of_commands = self.commands.iter_mut().filter_map(|command| match command.attributes.as_mut()? {
            Attributes::FailWorkflowExecutionCommandAttributes(attributes) => attributes.failure.as_mut(),
            Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(attributes) => attributes.failure.as_mut(),
            Attributes::RecordMarkerCommandAttributes(attributes) => attributes.failure.as_mut(),
            _ => None,
        });
        of_commands.chain(self.query_results.values_mut().filter_map(|result| result.failure.as_mut()))
    }
}
