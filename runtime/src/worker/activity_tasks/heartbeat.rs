//! Heartbeats of an activity, and cancellations that reach it.

use std::time::Duration;

use everloop_proto::temporal::api::workflowservice::v1 as wire;
use tokio::sync::watch;
use tokio::time::Instant;

use super::info::attempt_limit;
use super::runner::ActivityRunner;
use crate::activity::{ActivityCancelReason, ActivityInfo, Heartbeats};
use crate::client::RpcCode;
use crate::data::Payloads;
use crate::errors::ActivityError;
use crate::raw;
use crate::worker::link::Owner;
use crate::worker::send_error::SendError;

/// The time between two heartbeats, as a share of the heartbeat timeout.
const HEARTBEAT_SHARE: f64 = 0.8;
/// The time between two heartbeats of an activity without heartbeat timeout.
const DEFAULT_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);
/// The longest time between two heartbeats.
const LONGEST_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(60);
impl ActivityRunner {
    /// Sends heartbeats and delivers cancellations, for as long as the activity runs.
    pub(super) async fn watch(
        &self,
        info: &ActivityInfo,
        token: &bytes::Bytes,
        cancel: &watch::Sender<Option<ActivityCancelReason>>,
        beats: &Heartbeats,
        last_sent: &mut Option<Payloads>,
    ) -> Result<raw::Payload, ActivityError> {
        let interval = match info.heartbeat_timeout {
            Some(timeout) => timeout.mul_f64(HEARTBEAT_SHARE).min(LONGEST_HEARTBEAT_INTERVAL),
            None => DEFAULT_HEARTBEAT_INTERVAL,
        };
        let cancel_once = |reason: ActivityCancelReason| {
            cancel.send_if_modified(|known| {
                let is_new = known.is_none();
                known.get_or_insert(reason);
                is_new
            });
        };
        let (reached_server, mut heard) = watch::channel(Instant::now());
        let heartbeats = async {
            let mut due = Instant::now() + interval;
            loop {
                // Progress without details repeats the newest ones: empty ones would take them from the next attempt.
                let details = beats.next(due).await.or_else(|| last_sent.clone()).unwrap_or_default();
                // Set before the details are sent: the attempt may end meanwhile, and its failure includes them.
                let earlier = last_sent.replace(details.clone());
                match self.heartbeat(info, token, details).await {
                    Ok(Some(reason)) => cancel_once(reason),
                    Ok(None) => {
                        reached_server.send_replace(Instant::now());
                    }
                    Err(error) if error.is_unsendable() => {
                        // The attempt ends here; a thread that still runs the activity receives the cancellation.
                        cancel_once(ActivityCancelReason::AttemptOver);
                        *last_sent = earlier;
                        break ActivityError::from(error.failure_of("the details of a heartbeat"));
                    }
                    Err(error) => tracing::debug!(%error, "a heartbeat was not sent"),
                }
                due = Instant::now() + interval;
                tokio::time::sleep_until(due).await;
            }
        };
        // The server counts from the last heartbeat that reached it.
        let silent = async {
            let Some(timeout) = info.heartbeat_timeout else { return std::future::pending().await };
            let mut last = *heard.borrow_and_update();
            while let Ok(heard_again) = tokio::time::timeout_at(last + timeout, heard.changed()).await {
                heard_again.expect("the sender lives as long as this future");
                last = *heard.borrow_and_update();
            }
            cancel_once(ActivityCancelReason::TimedOut);
            std::future::pending::<()>().await;
        };
        let out_of_time = async {
            match attempt_limit(info) {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
            cancel_once(ActivityCancelReason::TimedOut);
            std::future::pending::<()>().await;
        };
        let stopping = async {
            self.cancel_all.cancelled().await;
            cancel_once(ActivityCancelReason::WorkerShutdown);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            error = heartbeats => return Err(error),
            () = silent => {}
            () = out_of_time => {}
            () = stopping => {}
        }
        std::future::pending().await
    }

    /// Sends one heartbeat. Returns the reason why the activity must stop, if the server reports one.
    pub(super) async fn heartbeat(
        &self,
        info: &ActivityInfo,
        token: &bytes::Bytes,
        details: Payloads,
    ) -> Result<Option<ActivityCancelReason>, SendError> {
        let request = wire::RecordActivityTaskHeartbeatRequest {
            task_token: token.clone(),
            details: details.into_wire(),
            identity: self.link.identity.clone(),
            namespace: self.link.namespace.clone(),
            ..Default::default()
        };
        match self.link.send(Owner::Activity(info), request).await {
            Ok(reply) => Ok(ActivityCancelReason::from_flags(
                reply.cancel_requested,
                reply.activity_paused,
                reply.activity_reset,
            )),
            Err(SendError::Rpc(error)) if error.code == RpcCode::NotFound => {
                Ok(Some(ActivityCancelReason::from_not_found(&error.message)))
            }
            Err(error) => Err(error),
        }
    }
}
