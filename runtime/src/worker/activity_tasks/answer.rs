//! The end of an attempt, as the server learns it.

use everloop_proto::temporal::api::workflowservice::v1 as wire;

use super::runner::Activities;
use crate::activity::ActivityInfo;
use crate::client::RpcCode;
use crate::data::{Failure, FailureKind, Payloads};
use crate::notice::say_unless_heard;
use crate::raw;
use crate::worker::link::{Link, LinkError};
use crate::worker::unsent::shortened;

pub(super) enum Ended {
    Completed(raw::Payload),
    Cancelled(Failure),
    Failed(Failure, Option<Payloads>),
}

impl Ended {
    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Completed(_) => None,
            Self::Cancelled(failure) | Self::Failed(failure, _) => Some(failure),
        }
    }
}

impl Activities {
    pub(super) async fn report(&self, info: &ActivityInfo, token: bytes::Bytes, ended: Ended) {
        let (failure, was_cancelled) = (ended.failure().cloned(), matches!(ended, Ended::Cancelled(_)));
        let sent = match self.send(info, token.clone(), ended).await {
            // Without a report the attempt would time out, and be tried again for ever.
            Err(error) if error.is_unsendable() => {
                let instead = match failure {
                    None => Ended::Failed(error.failure_of("the activity's result"), None),
                    Some(_) if was_cancelled => Ended::Cancelled(Failure::cancelled(format!(
                        "the activity was cancelled (the details cannot be sent: {error})"
                    ))),
                    Some(failure) => Ended::Failed(shortened(&failure, &error), None),
                };
                say_unless_heard(|| {
                    let ActivityInfo { activity_type, workflow_id, .. } = info;
                    format!("what the activity `{activity_type}` of `{workflow_id}` returned cannot be sent: {error}")
                });
                self.send(info, token, instead).await
            }
            sent => sent,
        };
        match sent {
            Ok(()) => {}
            Err(LinkError::Rpc(error)) if error.code == RpcCode::NotFound => {
                tracing::debug!(activity_type = info.activity_type, %error, "nobody waits for the activity any more");
            }
            Err(error) => tracing::warn!(
                activity_type = info.activity_type, activity_id = info.activity_id, workflow_id = info.workflow_id, %error,
                "the end of an activity could not be reported; its timeout will have it tried again"
            ),
        }
    }

    async fn send(&self, info: &ActivityInfo, task_token: bytes::Bytes, ended: Ended) -> Result<(), LinkError> {
        let Link { identity, namespace, .. } = self.link.clone();
        match ended {
            Ended::Completed(result) => {
                let mut request = wire::RespondActivityTaskCompletedRequest {
                    task_token,
                    result: Some(raw::Payloads { payloads: vec![result] }),
                    identity,
                    namespace,
                    ..Default::default()
                };
                self.link.encode(&mut request).await?;
                self.link.connection.call(request).await?;
            }
            Ended::Cancelled(failure) => {
                let mut request = wire::RespondActivityTaskCanceledRequest {
                    task_token,
                    details: failure.details().cloned().and_then(Payloads::into_wire),
                    identity,
                    namespace,
                    ..Default::default()
                };
                self.link.encode(&mut request).await?;
                self.link.connection.call(request).await?;
            }
            Ended::Failed(failure, details) => {
                let failure = reportable(failure);
                warn_failed(info, &failure);
                let mut request = wire::RespondActivityTaskFailedRequest {
                    task_token,
                    failure: Some(failure.into_wire()),
                    identity,
                    namespace,
                    last_heartbeat_details: details.and_then(Payloads::into_wire),
                    ..Default::default()
                };
                self.link.encode(&mut request).await?;
                self.link.connection.call(request).await?;
            }
        }
        Ok(())
    }
}

/// A server takes application failures only: an unasked-for cancellation is one.
fn reportable(failure: Failure) -> Failure {
    match failure.kind {
        FailureKind::Application { .. } => failure,
        _ => {
            let outer = Failure::application("ActivityError", failure.message.clone());
            outer.caused_by(failure)
        }
    }
}

fn warn_failed(info: &ActivityInfo, failure: &Failure) {
    let is_final = matches!(failure.kind, FailureKind::Application { non_retryable: true, .. });
    tracing::warn!(
        workflow_id = info.workflow_id, run_id = info.run_id, activity_type = info.activity_type,
        activity_id = info.activity_id, attempt = info.attempt, cause = %failure,
        "an activity attempt failed; {}",
        if is_final { "it is final" } else { "it is tried again as its retry policy says" }
    );
}
