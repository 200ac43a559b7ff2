//! Calls that pause, unpause and reset pending activities.

use std::sync::Arc;

use prost_types::Duration;
use tonic::Status;

use crate::api::workflowservice::{
    PauseActivityRequest, PauseActivityResponse, ResetActivityRequest, ResetActivityResponse, UnpauseActivityRequest,
    UnpauseActivityResponse, pause_activity_request, reset_activity_request, unpause_activity_request,
};
use crate::engine::activity::pause::{ActivitySelection, Restart};
use crate::engine::activity::state::Pause;
use crate::engine::error::Refusal;
use crate::service::calls::call::Call;
use crate::service::calls::history::execution;
use crate::service::core::Core;

impl Core {
    pub(in crate::service) async fn pause_activity(
        self: &Arc<Self>,
        request: PauseActivityRequest,
        _call: Call,
    ) -> Result<PauseActivityResponse, Status> {
        use pause_activity_request::Activity;
        let namespace = self.namespaces.find(&request.namespace)?;
        let (workflow_id, run_id) = execution(request.execution.as_ref())?;
        let which = match request.activity {
            Some(Activity::Id(id)) => ActivitySelection::Id(id),
            Some(Activity::Type(kind)) => ActivitySelection::Type(kind),
            None => return Err(no_selection().into()),
        };
        let text = |text: &str| Arc::<str>::from(text);
        let (identity, reason, request_id) =
            (text(&request.identity), text(&request.reason), text(&request.request_id));
        self.change_run(&namespace, &workflow_id, &run_id, |open, now| {
            open.run.pause_activities(&which, &Pause { time: now, identity, reason, request_id })
        })
        .await?;
        Ok(PauseActivityResponse {})
    }

    pub(in crate::service) async fn unpause_activity(
        self: &Arc<Self>,
        request: UnpauseActivityRequest,
        _call: Call,
    ) -> Result<UnpauseActivityResponse, Status> {
        use unpause_activity_request::Activity;
        let namespace = self.namespaces.find(&request.namespace)?;
        let (workflow_id, run_id) = execution(request.execution.as_ref())?;
        check_jitter(request.jitter.as_ref())?;
        let which = match request.activity {
            Some(Activity::Id(id)) => ActivitySelection::Id(id),
            Some(Activity::Type(kind)) => ActivitySelection::Type(kind),
            Some(Activity::UnpauseAll(_)) => ActivitySelection::All,
            None => return Err(no_selection().into()),
        };
        let restart = Restart {
            reset_attempts: request.reset_attempts,
            reset_heartbeat: request.reset_heartbeat,
            ..Restart::default()
        };
        self.change_run(&namespace, &workflow_id, &run_id, |open, now| {
            open.run.unpause_activities(&which, restart, now)
        })
        .await?;
        Ok(UnpauseActivityResponse {})
    }

    pub(in crate::service) async fn reset_activity(
        self: &Arc<Self>,
        request: ResetActivityRequest,
        _call: Call,
    ) -> Result<ResetActivityResponse, Status> {
        use reset_activity_request::Activity;
        let namespace = self.namespaces.find(&request.namespace)?;
        let (workflow_id, run_id) = execution(request.execution.as_ref())?;
        check_jitter(request.jitter.as_ref())?;
        let which = match request.activity {
            Some(Activity::Id(id)) => ActivitySelection::Id(id),
            Some(Activity::Type(kind)) => ActivitySelection::Type(kind),
            Some(Activity::MatchAll(_)) => ActivitySelection::All,
            None => return Err(no_selection().into()),
        };
        let restart = Restart {
            reset_heartbeat: request.reset_heartbeat,
            keep_paused: request.keep_paused,
            ..Restart::default()
        };
        self.change_run(&namespace, &workflow_id, &run_id, |open, now| open.run.reset_activities(&which, restart, now))
            .await?;
        Ok(ResetActivityResponse {})
    }
}

fn no_selection() -> Refusal {
    Refusal::invalid("Either Activity.Id or Activity.Type should be set on request.")
}

fn check_jitter(jitter: Option<&Duration>) -> Result<(), Refusal> {
    match jitter {
        Some(_) => Err(Refusal::Unsupported("jitter")),
        None => Ok(()),
    }
}
