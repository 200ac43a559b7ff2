//! A tree as text: on one line if it fits, otherwise with one field per line.

use super::tree::Node;

const WIDTH: usize = 118;

/// Returns the text of a node that starts at a column of a line indented by `indent`.
pub(super) fn print(node: &Node, column: usize, indent: usize) -> String {
    let short = on_one_line(node);
    if column + short.chars().count() <= WIDTH { short } else { on_many_lines(node, indent) }
}

fn on_one_line(node: &Node) -> String {
    let all = |items: &[Node]| items.iter().map(on_one_line).collect::<Vec<_>>().join(", ");
    match node {
        Node::Atom(atom) => atom.clone(),
        Node::Text(text) => format!("{text:?}"),
        Node::Bytes(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        Node::Tuple { name, items } => format!("{name}({})", all(items)),
        Node::List(items) => format!("[{}]", all(items)),
        Node::Struct { .. } | Node::Map(_) => {
            let entries = entries(node).into_iter().map(|(key, value)| format!("{key}: {}", on_one_line(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

fn on_many_lines(node: &Node, indent: usize) -> String {
    let (inner, end) = (" ".repeat(indent + 2), " ".repeat(indent));
    match node {
        Node::Tuple { name, items } => {
            let items = items.iter().map(|item| print(item, indent + name.len() + 2, indent)).collect::<Vec<_>>();
            format!("{name}({})", items.join(", "))
        }
        Node::List(items) => {
            let lines = items.iter().map(|item| format!("{inner}{}\n", print(item, indent + 2, indent + 2)));
            format!("[\n{}{end}]", lines.collect::<String>())
        }
        Node::Struct { .. } | Node::Map(_) => {
            let lines = entries(node)
                .into_iter()
                .map(|(key, value)| format!("{inner}{key}: {}\n", print(value, indent + 4 + key.len(), indent + 2)));
            format!("{{\n{}{end}}}", lines.collect::<String>())
        }
        plain => on_one_line(plain),
    }
}

fn entries(node: &Node) -> Vec<(String, &Node)> {
    match node {
        Node::Struct { fields, .. } => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Node::Map(entries) => entries.iter().map(|(key, value)| (on_one_line(key), value)).collect(),
        _ => vec![],
    }
}
