//! Local activities: the calls that the worker runs, and their results.

use std::panic::Location;

use super::{Access, Core, CoreState};
use crate::executor::call_site::CallSite;
use crate::executor::command::CommandKind;
use crate::executor::issued::Issued;
use crate::executor::operations::{
    Command, Durable, Issuer, Kind, LocalActivityOperation, LocalActivityRequest, LocalActivityTask, LocalEnded,
    LocalRequest, Operation, OperationId, Outcome, TimerRequest,
};
use crate::executor::scope::{ScopeId, Scopes};
use crate::raw;

impl Core {
    /// Begins a local activity.
    ///
    /// # Panics
    /// In queries, validators and conditions, which may only read.
    #[track_caller]
    pub(crate) fn begin_local(
        &self,
        request: LocalActivityRequest,
        input: impl FnOnce() -> Vec<raw::Payload>,
        scope: ScopeId,
        site: &'static Location<'static>,
    ) -> OperationId {
        let activity_type = request.activity_type;
        self.refuse_reader(&format!("calls the local activity `{activity_type}`"));
        self.pass(site);
        let site = CallSite::from(site);
        // User code encodes, so no borrow may be held here. The input is also needed on replay: if history does not have the
        // result, the activity runs after the replay.
        let input = input();
        let options = self.worker_options().of_call(activity_type, request.options, request.attribute);
        if let (Err(error), false) = (options.check(), self.is_replaying()) {
            panic!("local activity `{activity_type}`, called at {site}: {error}");
        }
        let seq = number(self.take_id());
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        let cancellation = options.cancellation_type.unwrap_or_default();
        let summary = request.summary.clone();
        let task = LocalActivityTask::of_call(request, seq, inner.now, input, options, site);
        let machine = LocalActivityOperation::new(task, cancellation, summary);
        let id = inner.add(scope, Kind::Durable(machine.into()), site);
        inner.call_local(id, seq);
        id
    }

    /// Hands the activities that were called since to the worker, because the workflow waits.
    pub(in crate::executor) fn hand_over_local(&self) {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        for id in std::mem::take(&mut inner.local.called) {
            let task = inner.local_machine(id).and_then(LocalActivityOperation::hand_over);
            if !inner.replaying {
                inner.local.requests.extend(task.map(LocalRequest::Start));
            }
        }
    }

    /// Requests all running activities from the worker again, because a live task opens.
    pub(in crate::executor) fn hand_over_local_again(&self) {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        inner.local.requests.clear();
        for id in inner.local.open.values() {
            if let Some(Operation { kind: Kind::Durable(Durable::Local(machine)), .. }) = inner.operations.get(id) {
                inner.local.requests.extend(machine.requests());
            }
        }
    }

    pub(in crate::executor) fn take_local_requests(&self) -> Vec<LocalRequest> {
        std::mem::take(&mut self.inner.borrow_mut().local.requests)
    }

    /// Whether the task waits for results of local activities.
    pub(in crate::executor) fn waits_for_local(&self) -> bool {
        let inner = self.inner.borrow();
        inner.access != Access::TornDown && !inner.local.open.is_empty()
    }

    /// Whether the worker runs the local activity with this number.
    pub(in crate::executor) fn runs_local(&self, seq: u32) -> bool {
        let inner = self.inner.borrow();
        inner.access != Access::TornDown && inner.local.open.contains_key(&seq)
    }

    /// Ends a local activity, and issues its marker as the next command. Has no effect if the activity is not open.
    pub(in crate::executor) fn end_local(&self, ended: LocalEnded) {
        let (id, attempt, duration) = {
            let mut inner = self.inner.borrow_mut();
            let inner = &mut *inner;
            let Some(id) = inner.local.open.remove(&ended.seq) else { return };
            let Some(machine) = inner.local_machine(id) else { return };
            let (time, attempt, backoff) = (machine.time(ended.at), ended.attempt, ended.backoff);
            let outcome = machine.end(&ended);
            inner.record_local(id, ended);
            if let Some(time) = time {
                let end = inner.local.not_before_last_end(time);
                inner.local.last_end = Some(end);
                inner.now = inner.now.max(end);
            }
            match (outcome, backoff) {
                (None, Some(duration)) => (id, attempt, duration),
                (outcome, _) => return outcome.into_iter().for_each(|outcome| inner.settle(id, outcome)),
            }
        };
        let site = self.inner.borrow().operations.get(&id).map_or(CallSite::NONE, |operation| operation.site);
        let timer = self.begin_at(TimerRequest { duration, summary: None }, Scopes::NONE, site);
        let mut inner = self.inner.borrow_mut();
        if let Some(timer) = inner.operations.get_mut(&timer) {
            timer.detached = true;
        }
        inner.local.backoffs.insert(timer, (id, attempt.saturating_add(1)));
    }
}

impl CoreState {
    fn local_machine(&mut self, id: OperationId) -> Option<&mut LocalActivityOperation> {
        match self.operations.get_mut(&id) {
            Some(Operation { kind: Kind::Durable(Durable::Local(machine)), .. }) => Some(machine),
            _ => None,
        }
    }

    fn call_local(&mut self, id: OperationId, seq: u32) {
        self.local.open.insert(seq, id);
        self.local.called.push(id);
    }

    /// Issues the marker of an end.
    fn record_local(&mut self, id: OperationId, ended: LocalEnded) {
        let replaying = self.replaying;
        let site = self.operations.get(&id).map_or(CallSite::NONE, |operation| operation.site);
        let Some(machine) = self.local_machine(id) else { return };
        let command = CommandKind::Operation(Command::Local(machine.command()));
        let summary = machine.summary();
        let attributes = (!replaying).then(|| machine.marker(ended));
        self.issue(Issued { summary, ..Issued::new(command, site, attributes) });
    }

    /// Cancels a local activity that the worker runs.
    pub(super) fn cancel_local(&mut self, id: OperationId, outcome: Option<Outcome>) {
        let replaying = self.replaying;
        let Some(machine) = self.local_machine(id) else { return };
        let (seq, leave, ended) = (machine.seq(), machine.leave(), machine.ended_by_cancel());
        if !replaying {
            self.local.requests.push(if outcome.is_some() { leave } else { LocalRequest::Cancel { seq } });
        }
        let Some(outcome) = outcome else { return };
        self.local.open.remove(&seq);
        self.record_local(id, ended);
        if let Some(operation) = self.operations.get_mut(&id) {
            operation.resolve(outcome);
        }
    }

    /// Begins the next attempt if the fired timer was the wait between two attempts. Returns whether it was one.
    pub(super) fn end_backoff(&mut self, timer: OperationId) -> bool {
        let Some((id, attempt)) = self.local.backoffs.remove(&timer) else { return false };
        self.operations.remove(&timer);
        let seq = number(self.next_id);
        let now = self.now;
        if let Some(machine) = self.local_machine(id) {
            machine.call_again(seq, attempt, now);
            self.next_id += 1;
            self.call_local(id, seq);
        }
        true
    }
}

/// The number of a call in its marker. A history has fewer events.
fn number(id: u64) -> u32 {
    u32::try_from(id).unwrap_or(u32::MAX)
}
