//! Reading histories.

use std::sync::Arc;

use bytes::Bytes;
use tonic::Status;

use crate::api::common::WorkflowExecution;
use crate::api::enums::HistoryEventFilterType;
use crate::api::history::{History, HistoryEvent};
use crate::api::workflowservice::{
    GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryResponse, GetWorkflowExecutionHistoryReverseRequest,
    GetWorkflowExecutionHistoryReverseResponse,
};
use crate::engine::error::Refusal;
use crate::engine::event::EventId;
use crate::engine::external::is_run_id;
use crate::engine::history::{DamagedEvent, decode};
use crate::engine::start::check_name;
use crate::limits::{PAGE_BATCHES_MAX, PAGE_BYTES_MAX};
use crate::model::HistoryBatch;
use crate::namespaces::Namespace;
use crate::service::calls::call::{Call, Waited};
use crate::service::calls::known::known;
use crate::service::calls::tokens;
use crate::service::calls::tokens::HistoryToken;
use crate::service::core::Core;
use crate::service::runs::closed::ClosedRun;
use crate::service::runs::lookup::Located;
use crate::service::runs::open::OpenRun;
use crate::store::ReadLimit;

/// A part of a history, not decoded yet.
#[derive(Debug, Default)]
pub(in crate::service) struct Page {
    batches: Vec<HistoryBatch>,
    first: EventId,
    end: EventId,
    /// Events at the end that are not part of the history, or not yet.
    suffix: Vec<HistoryEvent>,
    /// The first event of the next page; `None` at the end.
    next: Option<EventId>,
}

impl Page {
    /// The events from `first` up to `end` of an open run, followed by those of an unwritten task.
    pub(in crate::service) fn of_open(open: &OpenRun, first: EventId, end: EventId, batches_max: usize) -> Self {
        let mut page = Self { first, end, ..Self::default() };
        page.take(open.run.history.batches_from(first), batches_max);
        page.finish(open.run.history.next_event_id());
        if page.next.is_none() && end >= open.run.history.next_event_id() {
            page.suffix = open.run.unwritten_task_events();
        }
        page
    }

    pub(in crate::service) fn of_closed(
        closed: &ClosedRun,
        first: EventId,
        end: EventId,
        batches_max: usize,
    ) -> Result<Self, Status> {
        let mut page = Self { first, end, ..Self::default() };
        if first < closed.next_event_id() {
            let limit = ReadLimit { batches_max: batches_max.min(PAGE_BATCHES_MAX), bytes_max: PAGE_BYTES_MAX };
            page.take(&closed.batches_from(first, limit)?, batches_max);
            if page.batches.is_empty() && first < end {
                return Err(Refusal::damaged(&closed.row.run_id, &DamagedEvent::missing(first)).into());
            }
        }
        page.finish(closed.next_event_id());
        Ok(page)
    }

    fn take(&mut self, batches: &[HistoryBatch], batches_max: usize) {
        let mut bytes = 0;
        for batch in batches.iter().take(batches_max.min(PAGE_BATCHES_MAX)) {
            bytes += batch.events.len();
            if batch.first_event_id >= self.end || (!self.batches.is_empty() && bytes > PAGE_BYTES_MAX) {
                break;
            }
            self.batches.push(batch.clone());
        }
    }

    fn finish(&mut self, next_event_id: EventId) {
        let reached = self.batches.last().map_or(self.first, |batch| batch.next_event_id);
        self.next = (reached < self.end.min(next_event_id) && !self.batches.is_empty()).then_some(reached);
    }

    /// Decodes the page; returns it with a token for the next page of `GetWorkflowExecutionHistory`.
    ///
    /// # Errors
    ///
    /// Returns DATA_LOSS if an event is missing or cannot be read.
    pub(in crate::service) fn decode(self, run_id: &str) -> Result<(History, Bytes), Status> {
        let mut events = Vec::new();
        let mut next = self.first;
        for batch in &self.batches {
            let decoded = match batch.first_event_id {
                first if first > next => Err(DamagedEvent::missing(next)),
                _ => decode(batch, self.first, self.end, &mut events),
            };
            decoded.map_err(|error| Refusal::damaged(run_id, &error))?;
            next = batch.next_event_id;
        }
        events.extend(self.suffix);
        let token = self.next.map(|event_id| HistoryToken {
            run_id: run_id.to_owned(),
            event_id,
            end_event_id: self.end,
            reverse: false,
        });
        Ok((History { events }, token.map(|token| tokens::encode(&token)).unwrap_or_default()))
    }
}

/// The result of one read of a run.
enum ReadOutcome {
    Page(Page),
    /// No new events; the reader should read again when this resolves.
    Wait(tokio::sync::oneshot::Receiver<()>),
    Nothing,
}

impl Core {
    pub(in crate::service) async fn get_workflow_execution_history(
        self: &Arc<Self>,
        request: GetWorkflowExecutionHistoryRequest,
        call: Call,
    ) -> Result<GetWorkflowExecutionHistoryResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let (workflow_id, mut run_id) = execution(request.execution.as_ref())?;
        let mut token = HistoryToken { event_id: 1, ..HistoryToken::default() };
        if !request.next_page_token.is_empty() {
            token = read_token(&request.next_page_token, &run_id, false)?;
            run_id.clone_from(&token.run_id);
        }
        let filter: HistoryEventFilterType = known("history_event_filter_type", request.history_event_filter_type)?;
        let close_only = filter == HistoryEventFilterType::CloseEvent;
        let wait = request.wait_new_event;
        let batches_max = page_size(request.maximum_page_size);
        let until = call.deadline.read_poll();
        loop {
            let (look, open, seq) = self
                .with_run(&namespace, &workflow_id, &run_id, |located| {
                    Ok(match located {
                        Located::Open(_, open) => {
                            token.run_id = open.run.info.run_id.to_string();
                            let look = look_at_open(open, &token, close_only, wait, batches_max, &call);
                            (look, true, open.seq)
                        }
                        Located::Closed(closed) => {
                            token.run_id = closed.row.run_id.to_string();
                            let page = look_at_closed(closed, &token, close_only, batches_max)?;
                            (ReadOutcome::Page(page), false, closed.seq)
                        }
                    })
                })
                .await?;
            run_id.clone_from(&token.run_id);
            match look {
                ReadOutcome::Page(page) => {
                    self.durable(seq).await?;
                    return answer(page, &token, open && wait);
                }
                ReadOutcome::Nothing => {
                    return Ok(GetWorkflowExecutionHistoryResponse {
                        history: Some(History::default()),
                        ..Default::default()
                    });
                }
                ReadOutcome::Wait(news) => {
                    if !matches!(call.wait(until, news).await, Waited::For(_)) {
                        let page = Page { first: token.event_id, ..Page::default() };
                        return answer(page, &token, true);
                    }
                }
            }
        }
    }

    pub(in crate::service) async fn get_workflow_execution_history_reverse(
        self: &Arc<Self>,
        request: GetWorkflowExecutionHistoryReverseRequest,
        _call: Call,
    ) -> Result<GetWorkflowExecutionHistoryReverseResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let (workflow_id, mut run_id) = execution(request.execution.as_ref())?;
        let mut before = EventId::MAX;
        if !request.next_page_token.is_empty() {
            let token = read_token(&request.next_page_token, &run_id, true)?;
            (run_id, before) = (token.run_id, token.event_id);
        }
        let batches_max = page_size(request.maximum_page_size);
        let (batches, run_id, seq) = self
            .with_run(&namespace, &workflow_id, &run_id, |located| {
                Ok(match located {
                    Located::Open(_, open) => (
                        newest(open.run.history.batches(), before, batches_max),
                        open.run.info.run_id.to_string(),
                        open.seq,
                    ),
                    Located::Closed(closed) => (
                        closed.batches_before(before, ReadLimit { batches_max, bytes_max: PAGE_BYTES_MAX })?,
                        closed.row.run_id.to_string(),
                        closed.seq,
                    ),
                })
            })
            .await?;
        self.durable(seq).await?;
        let mut events = Vec::new();
        let mut oldest = before;
        for batch in batches {
            let from = events.len();
            let decoded = match batch.next_event_id {
                next if next < oldest && oldest != EventId::MAX => Err(DamagedEvent::missing(next)),
                _ => decode(&batch, batch.first_event_id, before, &mut events),
            };
            decoded.map_err(|error| Refusal::damaged(&run_id, &error))?;
            events[from..].reverse();
            oldest = batch.first_event_id;
        }
        if oldest == before && before > 1 {
            // Every run has a first event.
            return Err(Refusal::damaged(&run_id, &DamagedEvent::missing(1)).into());
        }
        let token = (oldest > 1)
            .then(|| tokens::encode(&HistoryToken { run_id, event_id: oldest, end_event_id: 0, reverse: true }));
        Ok(GetWorkflowExecutionHistoryReverseResponse {
            history: Some(History { events }),
            next_page_token: token.unwrap_or_default(),
        })
    }
}

fn look_at_open(
    open: &mut OpenRun,
    token: &HistoryToken,
    close_only: bool,
    wait: bool,
    batches_max: usize,
    call: &Call,
) -> ReadOutcome {
    if close_only {
        return if wait { ReadOutcome::Wait(open.wait_for_close(call.time())) } else { ReadOutcome::Nothing };
    }
    let end = if token.end_event_id > 0 { token.end_event_id } else { EventId::MAX };
    let mut page = Page::of_open(open, token.event_id, end, batches_max);
    if wait || !call.shows_unwritten_events {
        page.suffix.clear();
    }
    if wait && page.batches.is_empty() {
        return ReadOutcome::Wait(open.wait_for_events());
    }
    ReadOutcome::Page(page)
}

fn look_at_closed(
    closed: &ClosedRun,
    token: &HistoryToken,
    close_only: bool,
    batches_max: usize,
) -> Result<Page, Status> {
    let end = closed.next_event_id();
    if close_only {
        return Ok(Page { batches: vec![closed.last_batch()?], first: end - 1, end, ..Page::default() });
    }
    let end = if token.end_event_id > 0 { token.end_event_id.min(end) } else { end };
    Page::of_closed(closed, token.event_id, end, batches_max)
}

/// `goes_on` returns a token even if the reader has seen all events so far.
fn answer(mut page: Page, token: &HistoryToken, goes_on: bool) -> Result<GetWorkflowExecutionHistoryResponse, Status> {
    if goes_on && page.next.is_none() {
        page.next = Some(page.batches.last().map_or(page.first, |batch| batch.next_event_id));
    }
    if token.end_event_id == 0 {
        // The token must not fix an end, because the history may grow.
        let (first, end) = (page.first, page.end);
        let next = page.next.take();
        let (history, _) = Page { first, end, ..page }.decode(&token.run_id)?;
        let token = next.map(|event_id| {
            tokens::encode(&HistoryToken { run_id: token.run_id.clone(), event_id, end_event_id: 0, reverse: false })
        });
        return Ok(GetWorkflowExecutionHistoryResponse {
            history: Some(history),
            next_page_token: token.unwrap_or_default(),
            ..Default::default()
        });
    }
    let (history, next_page_token) = page.decode(&token.run_id)?;
    Ok(GetWorkflowExecutionHistoryResponse { history: Some(history), next_page_token, ..Default::default() })
}

fn read_token(bytes: &[u8], run_id: &str, reverse: bool) -> Result<HistoryToken, Refusal> {
    let token: HistoryToken = tokens::decode("NextPageToken", bytes)?;
    if token.reverse != reverse || token.event_id < 1 {
        return Err(Refusal::invalid("Invalid NextPageToken."));
    }
    if !run_id.is_empty() && run_id != token.run_id {
        return Err(Refusal::invalid("RunId in the request does not match the NextPageToken."));
    }
    Ok(token)
}

fn page_size(asked: i32) -> usize {
    usize::try_from(asked).ok().filter(|asked| *asked > 0).unwrap_or(PAGE_BATCHES_MAX).min(PAGE_BATCHES_MAX)
}

/// The newest batches that begin before `before`, newest first.
fn newest(batches: &[HistoryBatch], before: EventId, batches_max: usize) -> Vec<HistoryBatch> {
    let end = batches.partition_point(|batch| batch.first_event_id < before);
    let mut bytes = 0;
    let fits = |batch: &&HistoryBatch| {
        let first = bytes == 0;
        bytes += batch.events.len();
        first || bytes <= PAGE_BYTES_MAX
    };
    batches[..end].iter().rev().take(batches_max).take_while(fits).cloned().collect()
}

impl ClosedRun {
    fn batches_before(&self, before: EventId, limit: ReadLimit) -> Result<Vec<HistoryBatch>, crate::store::StoreError> {
        match self.batches_in_memory() {
            Some(batches) => Ok(newest(batches, before, limit.batches_max)),
            None => self.read_back(before.min(self.next_event_id()), limit),
        }
    }
}

/// Reads the execution of a request; the run id may be empty.
pub(in crate::service) fn execution(execution: Option<&WorkflowExecution>) -> Result<(String, String), Refusal> {
    let Some(execution) = execution else { return Err(Refusal::invalid("Execution is not set on request.")) };
    check_name("WorkflowId", &execution.workflow_id)?;
    check_run_id(&execution.run_id)?;
    Ok((execution.workflow_id.clone(), execution.run_id.clone()))
}

/// Checks that a run id is empty or a UUID.
pub(in crate::service) fn check_run_id(run_id: &str) -> Result<(), Refusal> {
    if is_run_id(run_id) { Ok(()) } else { Err(Refusal::invalid("Invalid RunId.")) }
}

/// Finds the namespace of a task token, which the request may omit.
pub(in crate::service) fn namespace_of(core: &Core, asked: &str, token: &str) -> Result<Arc<Namespace>, Status> {
    if !asked.is_empty() && asked != token {
        return Err(Status::invalid_argument("Operation requested with a token from a different namespace."));
    }
    Ok(core.namespaces.find(token)?)
}
