//! Filter text -> tokens.

use super::error::Problem;

/// A token and the byte of the text where it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    /// As it is written, for messages.
    pub(super) text: &'a str,
    pub(super) offset: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name or a keyword, as written.
    Word(String),
    /// A name between back quotes, which is never a keyword.
    Quoted(String),
    /// The content of a literal in single or double quotes.
    Text(String),
    Integer(i64),
    /// `=`, `<=`, a parenthesis, a comma.
    Symbol(&'static str),
    End,
}

impl Token<'_> {
    pub(super) fn is_keyword(&self, keyword: &str) -> bool {
        matches!(&self.kind, TokenKind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.kind, TokenKind::Symbol(found) if found == symbol)
    }
}

/// Longer ones first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 9] = ["!=", "<=", ">=", "=", "<", ">", "(", ")", ","];

/// All tokens of the text and one [`TokenKind::End`] behind them.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Problem> {
    let mut tokens = Vec::new();
    let mut offset = 0;
    loop {
        let rest = &text[offset..];
        let blank = rest.len() - rest.trim_start().len();
        offset += blank;
        let rest = &rest[blank..];
        let (kind, length) = token(rest).ok_or_else(|| unreadable(rest, offset))?;
        let is_end = kind == TokenKind::End;
        tokens.push(Token { kind, text: &rest[..length], offset });
        offset += length;
        if is_end {
            return Ok(tokens);
        }
    }
}

/// The token that the text begins with, and its length in bytes.
fn token(text: &str) -> Option<(TokenKind, usize)> {
    let Some(first) = text.chars().next() else { return Some((TokenKind::End, 0)) };
    if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| text.starts_with(symbol)) {
        return Some((TokenKind::Symbol(symbol), symbol.len()));
    }
    match first {
        '\'' | '"' => quoted(text, first).map(|(content, length)| (TokenKind::Text(content), length)),
        '`' => quoted(text, first).map(|(content, length)| (TokenKind::Quoted(content), length)),
        '-' | '0'..='9' => {
            let length = text[1..].find(|c: char| !is_word(c) && c != '.').map_or(text.len(), |end| end + 1);
            text[..length].parse().ok().map(|number| (TokenKind::Integer(number), length))
        }
        first if is_word(first) => {
            let length = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
            Some((TokenKind::Word(text[..length].to_owned()), length))
        }
        _ => None,
    }
}

/// Content and length of a literal. A doubled quote stands for one; a backslash takes the next character as it is.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote != '`' => content.push(chars.next()?.1),
            c if c == quote && chars.peek().is_some_and(|(_, next)| *next == quote) => {
                chars.next();
                content.push(quote);
            }
            c if c == quote => return Some((content, at + quote.len_utf8())),
            c => content.push(c),
        }
    }
    None
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn unreadable(rest: &str, offset: usize) -> Problem {
    if rest.starts_with(['\'', '"', '`']) {
        return Problem::UnclosedQuote { offset };
    }
    let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
    Problem::Unsupported { token: rest[..length].to_owned(), offset }
}
