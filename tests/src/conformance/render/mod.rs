//! Messages as text that is equal for servers with equal behaviour.
//!
//! Everything a server sends is kept except the parts that [`clean`] names: empty fields are left out, times, tokens and ids are
//! replaced by placeholders. Placeholders keep the identity of ids: the first id is `<id 1>` everywhere.

mod clean;
mod print;
mod tree;

use std::fmt::Debug;

use everloop_proto::{google, temporal::api::history::v1::HistoryEvent};
use prost::Message;
use tonic::Status;

use tree::Node;

/// Formats a message after `title`.
pub(super) fn message(title: &str, message: &impl Debug) -> String {
    match clean::clean(Node::of(message)) {
        // `Debug` shows a message without fields as its name alone.
        Node::Atom(_) => format!("{title}{{}}\n"),
        node => format!("{title}{}\n", print::print(&node, title.len(), 0)),
    }
}

/// Formats one event: its id, its type, its attributes, and its other fields.
pub(crate) fn event(event: &HistoryEvent) -> String {
    let Node::Struct { name, fields } = clean::clean(Node::of(event)) else { panic!("an event is a message") };
    let title = format!("  {:>2} {:?} ", event.event_id, event.event_type());
    let (mut attributes, mut rest) = (Vec::new(), Vec::new());
    for (field, value) in fields {
        match (field.as_str(), value) {
            ("event_id" | "event_type", _) => {}
            // Each event has one; only its absence is shown.
            ("event_time", _) => {}
            ("attributes", Node::Struct { fields, .. }) => attributes = fields,
            (_, value) => rest.push((field, value)),
        }
    }
    if event.event_time.is_none() {
        rest.push(("event_time".into(), Node::Atom("missing".into())));
    }
    attributes.extend(rest);
    let node = Node::Struct { name, fields: attributes };
    format!("{title}{}\n", print::print(&node, title.len(), 5))
}

/// Formats an error: its code, its text and its details.
pub(super) fn status(title: &str, status: &Status) -> String {
    let mut text = format!("{title}{:?}: {}\n", status.code(), status.message());
    if !status.details().is_empty() {
        let wire = google::rpc::Status::decode(status.details()).expect("the details are a google.rpc.Status");
        if wire.code != i32::from(status.code()) || wire.message != status.message() {
            text += &format!("  but in the details {}: {}\n", wire.code, wire.message);
        }
        for detail in wire.details {
            let node = clean::decoded(&detail.type_url, &detail.value);
            text += &format!("  {}\n", print::print(&node, 2, 2));
        }
    }
    text
}

/// Removes `suffix`, which made names unique, from the text, and replaces each id by a placeholder.
pub(crate) fn without_ids(text: &str, suffix: &str) -> String {
    let mut rest = text.replace(suffix, "");
    let mut seen: Vec<String> = Vec::new();
    let mut out = String::new();
    while let Some(at) = rest.char_indices().map(|(at, _)| at).find(|&at| is_uuid(&rest.as_bytes()[at..])) {
        let id = rest[at..at + UUID].to_owned();
        let number = seen.iter().position(|known| *known == id).unwrap_or_else(|| {
            seen.push(id);
            seen.len() - 1
        });
        out += &format!("{}<id {}>", &rest[..at], number + 1);
        rest = rest.split_off(at + UUID);
    }
    out + &rest
}

const UUID: usize = 36;

fn is_uuid(text: &[u8]) -> bool {
    text.len() >= UUID
        && text[..UUID].iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    #[test]
    fn id_has_one_placeholder_everywhere() {
        let (one, two) = ("019a0000-0000-7000-8000-000000000001", "019a0000-0000-7000-8000-000000000002");
        let text = format!("a~1f is {one}, b~1f is {two}, a~1f is {one}");
        expect!["a is <id 1>, b is <id 2>, a is <id 1>"].assert_eq(&super::without_ids(&text, "~1f"));
    }
}
