//! A wire message as a tree.
//!
//! The generated types have no reflection. Their `Debug` text is regular and has the name of every field and of every enum value,
//! so this module parses it: one small grammar instead of code for each message.

use std::{fmt::Debug, iter::Peekable, str::Chars};

/// A value as printed by `Debug`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// A number, a boolean, a value of an enum, `None`.
    Atom(String),
    Text(String),
    Bytes(Vec<u8>),
    Struct {
        name: String,
        fields: Vec<(String, Node)>,
    },
    /// `Name(a, b)`, and tuples without a name.
    Tuple {
        name: String,
        items: Vec<Node>,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    pub(super) fn of(value: &impl Debug) -> Self {
        let text = format!("{value:?}");
        let mut reader = Reader { rest: text.chars().peekable() };
        let node = reader.value();
        assert!(reader.rest.peek().is_none(), "more than one value in {text}");
        node
    }

    /// Returns the field of a struct; `None` also if this is no struct.
    pub(super) fn field(&self, name: &str) -> Option<&Node> {
        match self {
            Self::Struct { fields, .. } => fields.iter().find(|(field, _)| field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        match self {
            Self::Atom(atom) => matches!(atom.as_str(), "None" | "0" | "0.0" | "false" | "Unspecified"),
            Self::Text(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Map(entries) => entries.is_empty(),
            Self::Struct { .. } | Self::Tuple { .. } => false,
        }
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn value(&mut self) -> Node {
        match self.peek() {
            '"' => Node::Text(String::from_utf8(self.quoted()).expect("text is UTF-8")),
            '[' => Node::List(self.items('[', ']', Self::value)),
            '(' => Node::Tuple { name: String::new(), items: self.items('(', ')', Self::value) },
            '{' => Node::Map(self.items('{', '}', Self::entry)),
            _ => self.named(),
        }
    }

    fn named(&mut self) -> Node {
        let name = self.word();
        match self.rest.peek().copied() {
            Some('"') if name == "b" => Node::Bytes(self.quoted()),
            Some('(') => Node::Tuple { name, items: self.items('(', ')', Self::value) },
            Some(' ') if self.rest.clone().nth(1) == Some('{') => {
                self.spaces();
                Node::Struct { name, fields: self.items('{', '}', Self::named_field) }
            }
            _ => Node::Atom(name),
        }
    }

    fn named_field(&mut self) -> (String, Node) {
        let name = self.word();
        self.colon();
        (name.trim_start_matches("r#").to_owned(), self.value())
    }

    fn entry(&mut self) -> (Node, Node) {
        let key = self.value();
        self.colon();
        (key, self.value())
    }

    /// Reads everything between the brackets, separated by commas.
    fn items<T>(&mut self, open: char, close: char, read: fn(&mut Self) -> T) -> Vec<T> {
        self.expect(open);
        let mut items = Vec::new();
        loop {
            self.spaces();
            match self.peek() {
                last if last == close => break,
                ',' => self.expect(','),
                _ => items.push(read(self)),
            }
        }
        self.expect(close);
        items
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(&next) = self.rest.peek() {
            if !(next.is_alphanumeric() || "_-+.:#".contains(next)) || (next == ':' && !self.is_path()) {
                break;
            }
            word.push(next);
            self.rest.next();
        }
        assert!(!word.is_empty(), "a name or a number before {:?}", self.rest.clone().collect::<String>());
        word
    }

    /// Whether the colon that comes next belongs to a path, `a::b`.
    fn is_path(&self) -> bool {
        self.rest.clone().nth(1) == Some(':')
    }

    /// Reads the bytes of a string or byte string, unescaped.
    fn quoted(&mut self) -> Vec<u8> {
        self.expect('"');
        let mut bytes = Vec::new();
        loop {
            match self.next() {
                '"' => return bytes,
                '\\' => self.escape(&mut bytes),
                plain => bytes.extend(plain.encode_utf8(&mut [0; 4]).bytes()),
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) {
        match self.next() {
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            '0' => bytes.push(0),
            'x' => {
                let digits = String::from_iter([self.next(), self.next()]);
                bytes.push(u8::from_str_radix(&digits, 16).expect("two hex digits"));
            }
            'u' => {
                self.expect('{');
                let digits: String = std::iter::from_fn(|| Some(self.next()).filter(|&digit| digit != '}')).collect();
                let code = u32::from_str_radix(&digits, 16).expect("hex digits");
                bytes.extend(char::from_u32(code).expect("a character").encode_utf8(&mut [0; 4]).bytes());
            }
            same => bytes.extend(same.encode_utf8(&mut [0; 4]).bytes()),
        }
    }

    fn colon(&mut self) {
        self.expect(':');
        self.spaces();
    }

    fn spaces(&mut self) {
        while self.rest.next_if_eq(&' ').is_some() {}
    }

    fn expect(&mut self, wanted: char) {
        let found = self.next();
        assert_eq!(found, wanted, "before {:?}", self.rest.clone().collect::<String>());
    }

    fn peek(&mut self) -> char {
        *self.rest.peek().expect("a whole value")
    }

    fn next(&mut self) -> char {
        self.rest.next().expect("a whole value")
    }
}

#[cfg(test)]
mod tests {
    use super::Node;

    #[test]
    fn debug_output_is_parsed_back() {
        #[derive(Debug)]
        #[expect(dead_code, reason = "read through Debug")]
        struct Sample {
            text: &'static str,
            bytes: bytes::Bytes,
            list: Vec<Option<i64>>,
            pairs: std::collections::BTreeMap<&'static str, bool>,
        }
        let sample = Sample {
            text: "a \"b\"\n\u{1}é",
            bytes: bytes::Bytes::from_static(b"\x00\xff\"\\"),
            list: vec![Some(-1), None],
            pairs: [("x", true)].into(),
        };
        let node = Node::of(&sample);
        assert_eq!(node.field("text"), Some(&Node::Text("a \"b\"\n\u{1}é".into())));
        assert_eq!(node.field("bytes"), Some(&Node::Bytes(b"\x00\xff\"\\".to_vec())));
        let some = Node::Tuple { name: "Some".into(), items: vec![Node::Atom("-1".into())] };
        assert_eq!(node.field("list"), Some(&Node::List(vec![some, Node::Atom("None".into())])));
        assert_eq!(node.field("pairs"), Some(&Node::Map(vec![(Node::Text("x".into()), Node::Atom("true".into()))])));
    }
}
