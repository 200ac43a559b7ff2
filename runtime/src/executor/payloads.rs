//! Compares payloads of replayed commands with history, only for the replay check of the test kit.
//!
//! Ordinary replay never compares payloads, because code may change a field of an input and still replay. A test runs the
//! same code twice, so a different payload means that the code is not deterministic. JSON is compared as a value without
//! regard to the order of an object's keys, because a map may be encoded in any order. The order of a list is significant,
//! so hash sets are reported.

use everloop_proto::temporal::api::common::v1::{Payload, Payloads};
use everloop_proto::temporal::api::history::v1::HistoryEvent;

use super::command::CommandKind;
use super::end::{self, EndCommand};
use super::error::ReplayError;
use super::issued::Issued;
use super::operations;

/// The number of a value's characters in a message.
const SHOWN_MAX: usize = 120;

/// Compares the inputs of an operation, and the result of the workflow, with those in history.
pub(super) fn matches(issued: &Issued, event: &HistoryEvent) -> Result<(), ReplayError> {
    let (Some(recorded), Some(now)) = (&event.attributes, &issued.attributes) else { return Ok(()) };
    let (compared, is_input) = match (operations::inputs(recorded, now), end::results(recorded, now)) {
        (Some(inputs), _) => (inputs, true),
        (None, Some(results)) => (results, false),
        (None, None) => return Ok(()),
    };
    let each = |payloads: &Option<Payloads>| payloads.clone().unwrap_or_default().payloads;
    let (recorded, now) = (each(compared.recorded), each(compared.issued));
    for position in 0..recorded.len().max(now.len()) {
        let (recorded, now) = (recorded.get(position), now.get(position));
        if !equal(recorded, now) {
            let what = match is_input {
                true => format!("input {} of {}", position + 1, issued.kind),
                false if issued.kind == CommandKind::End(EndCommand::Complete) => "the workflow's result".to_owned(),
                false => format!("input {} of the next run", position + 1),
            };
            let (event_id, site) = (event.event_id, issued.site);
            return Err(ReplayError::ValueMismatch {
                event_id,
                what,
                recorded: shown(recorded),
                issued: shown(now),
                site,
            });
        }
    }
    Ok(())
}

fn equal(recorded: Option<&Payload>, now: Option<&Payload>) -> bool {
    let (Some(recorded), Some(now)) = (recorded, now) else { return recorded.is_none() && now.is_none() };
    if recorded.metadata != now.metadata {
        return false;
    }
    let json = |payload: &Payload| serde_json::from_slice::<serde_json::Value>(&payload.data).ok();
    recorded.data == now.data || json(recorded).is_some_and(|recorded| json(now) == Some(recorded))
}

fn shown(payload: Option<&Payload>) -> String {
    let Some(payload) = payload else { return "nothing".to_owned() };
    let Ok(text) = std::str::from_utf8(&payload.data) else { return format!("{} bytes", payload.data.len()) };
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
