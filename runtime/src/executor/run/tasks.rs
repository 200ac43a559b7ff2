//! Replayed and live tasks, and the comparison of their commands with history.

use super::clock::Clock;
use super::phase::{Phase, Unconfirmed};
use super::{Completion, Run, Step, TASKS_PER_TURN};
use crate::data::Headers;
use crate::executor::command::CommandKind;
use crate::executor::error::{ReplayError, TaskFailure};
use crate::executor::event::{Input, Meaning};
use crate::executor::history::{Next, Outputs, TaskStart};
use crate::executor::issued::{self, Issued};
use crate::executor::operations::LocalEnded;
use crate::executor::patches::PatchCommand;
use crate::executor::payloads;
use crate::executor::rules::{Rule, SDK_NAME};
use crate::executor::scope::Scopes;
use crate::executor::update::{self, Update};

impl Run {
    pub(super) fn advance(&mut self) -> Result<Step, TaskFailure> {
        if let Phase::Failed(failure) = &self.phase {
            return Err(failure.clone());
        }
        self.check_wakes()?;
        if let Phase::Replaying(_) = self.phase
            && let Some(step) = self.replay()?
        {
            if let Step::Settled = step {
                let unconfirmed = self.phase.take_unconfirmed();
                self.phase = self.between_tasks(unconfirmed);
            }
            return Ok(step);
        }
        self.go_on()
    }

    /// Reads history and replays its tasks, then opens the live task. Returns the step if there is no live task yet.
    fn replay(&mut self) -> Result<Option<Step>, TaskFailure> {
        for _ in 0..TASKS_PER_TURN {
            if self.phase.has_unconfirmed() {
                if self.reader.is_empty() {
                    return Ok(Some(Step::Settled));
                }
                let Some(outputs) = self.reader.outputs()? else { return Ok(Some(Step::NeedHistory)) };
                self.record_rules(&outputs)?;
                if let Some(Unconfirmed::Commands(issued)) = self.phase.take_unconfirmed() {
                    self.confirm(issued, outputs)?;
                }
            }
            match self.reader.next()? {
                Next::NeedHistory => return Ok(Some(Step::NeedHistory)),
                Next::End => return Ok(Some(Step::Settled)),
                Next::Replay { inputs, start, outputs } => {
                    self.record_rules(&outputs)?;
                    self.core.set_replaying(true);
                    self.core.foresee_patches(&outputs.events);
                    let updates = update::accepted(&outputs.events);
                    let mut clock = self.deliver(inputs, start, TaskUpdates::Accepted(updates))?;
                    if clock.has_begun() {
                        self.settle_and_end()?;
                    }
                    for ended in outputs.events.iter().filter_map(LocalEnded::recorded) {
                        self.end_local(&mut clock, ended)?;
                    }
                    let issued = self.core.take_issued();
                    self.confirm(issued, *outputs)?;
                }
                Next::Live { inputs, start } => {
                    self.core.set_replaying(false);
                    self.holds(Rule::Base);
                    let updates = self.phase.open_live_task();
                    self.core.hand_over_local_again();
                    let clock = self.deliver(inputs, start, TaskUpdates::Delivered(updates))?;
                    if let Some(task) = self.phase.live_task() {
                        task.clock = Some(clock);
                    }
                    return Ok(None);
                }
            }
        }
        Ok(Some(Step::Yielded))
    }

    /// Runs the live task until no coroutine is ready, and completes it, unless it waits for local activities.
    fn go_on(&mut self) -> Result<Step, TaskFailure> {
        let Some(task) = self.phase.live_task() else { return Ok(Step::Settled) };
        let Some(mut clock) = task.clock.take() else { return Ok(Step::Settled) };
        let is_settled = std::mem::replace(&mut task.is_settled, true);
        if !is_settled && clock.has_begun() {
            self.settle_and_end()?;
        }
        while let Some(ended) = self.ended_local.pop_front() {
            self.end_local(&mut clock, ended)?;
        }
        if !self.core.waits_for_local() {
            return Ok(self.complete(false));
        }
        if let Some(task) = self.phase.live_task() {
            task.clock = Some(clock);
        }
        Ok(Step::WaitsForLocal)
    }

    /// Completes the live task, with local activities running on or with none.
    pub(super) fn complete(&mut self, goes_on: bool) -> Step {
        self.core.set_replaying(true);
        let mut issued = self.core.take_issued();
        let mut task = self.phase.live_task().map(std::mem::take).unwrap_or_default();
        task.warnings.extend(self.core.take_warnings());
        let completion = Completion {
            commands: issued.iter_mut().map(Issued::take_wire).collect(),
            messages: task.messages,
            rules: self.rules.take_adopted(),
            warnings: task.warnings,
            closes: self.core.is_torn_down(),
            goes_on,
        };
        self.phase = self.between_tasks(Some(Unconfirmed::Commands(issued)));
        Step::Complete(completion)
    }

    /// Delivers the end of a local activity, as if it had come with the task. It moves what waits for it before the next one
    /// is delivered, whether they came together or not.
    fn end_local(&mut self, clock: &mut Clock, ended: LocalEnded) -> Result<(), TaskFailure> {
        if !self.core.runs_local(ended.seq) {
            // The code has cancelled it, which has a marker of its own, or history and code differ, which is reported later.
            return Ok(());
        }
        clock.begin(&self.core);
        self.core.end_local(ended);
        self.settle_and_end()
    }

    /// Delivers the inputs of one task. The clock has begun if workflow code can observe any of them; otherwise no code runs.
    fn deliver(&mut self, inputs: Vec<Input>, start: TaskStart, updates: TaskUpdates) -> Result<Clock, TaskFailure> {
        self.last_started_event_id = start.event_id;
        for input in &inputs {
            if let Meaning::Unsupported { event_type } = &input.meaning {
                let (event_id, event_type) = (input.event_id, event_type.clone());
                return Err(ReplayError::UnsupportedEvent { event_id, event_type }.into());
            }
        }
        // A task that delivers nothing has no effect: it advances no clock, evaluates no condition, and polls no coroutine.
        let mut clock = Clock::of(start);
        if inputs.iter().any(Input::delivers) {
            clock.begin(&self.core);
        }
        for input in &inputs {
            match &input.meaning {
                Meaning::Start { time, started } => self.start(*time, started)?,
                Meaning::Reset { new_run_id } => self.core.reseed(new_run_id),
                _ => {}
            }
        }
        for input in &inputs {
            if let Meaning::Signal(signal) = &input.meaning {
                let input = signal.input.as_ref().map(|input| input.payloads.as_slice()).unwrap_or_default();
                self.signal(&signal.signal_name, input, Headers::from_wire(signal.header.clone()))?;
            }
        }
        match updates {
            TaskUpdates::Accepted(updates) => {
                for (event_id, update) in updates {
                    clock.begin(&self.core);
                    self.accept(&update, Some(event_id))?;
                }
            }
            TaskUpdates::Delivered(updates) => {
                for update in updates {
                    match self.validate(&update) {
                        Ok(()) => {
                            clock.begin(&self.core);
                            self.accept(&update, None)?;
                        }
                        Err(failure) => self.send(|| update.rejection(*failure)),
                    }
                }
            }
        }
        for input in inputs {
            match input.meaning {
                Meaning::CancelRequest => self.core.cancel_scope(Scopes::ROOT),
                Meaning::Operation { key, change } => self.core.apply(input.event_id, &key, change)?,
                _ => {}
            }
        }
        Ok(clock)
    }

    /// Polls until no coroutine is ready, then ends the run if its workflow returned.
    fn settle_and_end(&mut self) -> Result<(), TaskFailure> {
        if !self.core.is_torn_down() {
            self.settle()?;
            self.end_if_returned();
        }
        if !self.core.is_torn_down() {
            let untaken = self.core.cancelled_and_untaken();
            if !untaken.is_empty() && self.holds(Rule::CancelledTimersStay) {
                self.core.keep(&untaken);
            }
            self.core.hand_over_local();
        }
        Ok(())
    }

    /// Compares the issued commands with the events in history, and confirms them to their operations.
    fn confirm(&mut self, issued: Vec<Issued>, outputs: Outputs) -> Result<(), TaskFailure> {
        // A patch is compared by its id alone, wherever it stands.
        let mut issued = issued.into_iter().filter(|issued| !matches!(issued.kind, CommandKind::Patch(_)));
        let mut last_event_id = outputs.completed_event_id;
        for event in &outputs.events {
            last_event_id = event.event_id;
            if let Some(command) = event.attributes.as_ref().and_then(PatchCommand::recorded) {
                self.core.confirm_patch(event.event_id, &command)?;
                continue;
            }
            let next = issued.next();
            issued::matches(next.as_ref(), event)?;
            if let Some(issued) = next.as_ref().filter(|_| self.core.compares_payloads()) {
                payloads::matches(issued, event)?;
            }
            let Some(issued) = next else { continue };
            if let Some(operation) = issued.operation {
                self.core.confirm(operation, event.event_id);
            }
            if let Some(operation) = issued.cancels {
                self.core.confirm_cancel(operation, event.event_id);
            }
        }
        match issued.next() {
            Some(extra) => Err(ReplayError::CommandUnrecorded {
                event_id: last_event_id,
                issued: extra.kind.clone(),
                site: extra.site,
            }
            .into()),
            None => Ok(()),
        }
    }

    fn record_rules(&mut self, outputs: &Outputs) -> Result<(), TaskFailure> {
        let Some(metadata) = &outputs.completed.sdk_metadata else { return Ok(()) };
        if !metadata.sdk_name.is_empty() {
            self.recorded_by_us = metadata.sdk_name == SDK_NAME;
        }
        if self.recorded_by_us {
            self.rules.record(outputs.completed_event_id, &metadata.lang_used_flags)?;
        }
        Ok(())
    }
}

/// The updates of a task: accepted by history, or not decided yet.
enum TaskUpdates {
    Accepted(Vec<(i64, Update)>),
    Delivered(Vec<Update>),
}
