//! Tokens -> typed tree.
//!
//! ```text
//! any     = all { OR all }
//! all     = single { AND single }
//! single  = "(" any ")" | attribute comparison
//! ```

use prost_types::Timestamp;

use super::error::InvalidQuery;
use super::filter::{Attribute, Condition, Filter, Grouping, Operator, Value};
use super::token::{Token, TokenKind, tokens};
use crate::model::RunStatus;

/// The longest filter, in bytes.
const LENGTH_MAX: usize = 10_000;

/// How deep parentheses nest.
const DEPTH_MAX: usize = 32;

/// Parses the filter of a list.
///
/// # Errors
///
/// What is wrong or not supported, and where.
pub(crate) fn parse_list(text: &str) -> Result<Filter, InvalidQuery> {
    let mut parser = Parser::new(text)?;
    let filter = parser.filter()?;
    parser.end()?;
    Ok(filter)
}

/// Parses the filter of a count, which may end with `GROUP BY ExecutionStatus`.
///
/// # Errors
///
/// What is wrong or not supported, and where.
pub(crate) fn parse_count(text: &str) -> Result<(Filter, Grouping), InvalidQuery> {
    let mut parser = Parser::new(text)?;
    let filter = parser.filter()?;
    let grouping = if parser.takes_keyword("GROUP") { parser.grouping()? } else { Grouping::None };
    parser.end()?;
    Ok((filter, grouping))
}

struct Parser<'a> {
    /// Ends with [`TokenKind::End`], which is never passed.
    tokens: Vec<Token<'a>>,
    next: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, InvalidQuery> {
        if text.len() > LENGTH_MAX {
            return Err(InvalidQuery::TooLong { bytes: text.len(), bytes_max: LENGTH_MAX });
        }
        Ok(Self { tokens: tokens(text)?, next: 0, depth: 0 })
    }

    fn filter(&mut self) -> Result<Filter, InvalidQuery> {
        let is_empty = self.peek().kind == TokenKind::End || self.peek().is_keyword("GROUP");
        Ok(Filter { condition: if is_empty { None } else { Some(self.any()?) } })
    }

    fn grouping(&mut self) -> Result<Grouping, InvalidQuery> {
        if !self.takes_keyword("BY") {
            return Err(self.expected("BY"));
        }
        let token = self.take();
        match self.attribute(&token)? {
            Attribute::ExecutionStatus => Ok(Grouping::ByStatus),
            _ => Err(InvalidQuery::Grouping { name: token.text.to_owned() }),
        }
    }

    fn end(&mut self) -> Result<(), InvalidQuery> {
        match self.peek().kind {
            TokenKind::End => Ok(()),
            _ => Err(self.expected("AND, OR or the end")),
        }
    }

    fn any(&mut self) -> Result<Condition, InvalidQuery> {
        self.joined("OR", Self::all, Condition::Any)
    }

    fn all(&mut self) -> Result<Condition, InvalidQuery> {
        self.joined("AND", Self::single, Condition::All)
    }

    fn joined(
        &mut self,
        keyword: &str,
        part: fn(&mut Self) -> Result<Condition, InvalidQuery>,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Condition, InvalidQuery> {
        let first = part(self)?;
        if !self.peek().is_keyword(keyword) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.takes_keyword(keyword) {
            parts.push(part(self)?);
        }
        Ok(join(parts))
    }

    fn single(&mut self) -> Result<Condition, InvalidQuery> {
        if !self.takes_symbol("(") {
            return self.comparison();
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(InvalidQuery::TooDeep { depth_max: DEPTH_MAX });
        }
        let inner = self.any()?;
        self.takes_symbol(")").then_some(()).ok_or_else(|| self.expected("AND, OR or `)`"))?;
        self.depth -= 1;
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Condition, InvalidQuery> {
        let token = self.take();
        let attribute = self.attribute(&token)?;
        let operator = self.take();
        if operator.is_keyword("IN") {
            return self.members(attribute);
        }
        if operator.is_keyword("BETWEEN") {
            self.check_order(attribute, &operator)?;
            let from = self.value(attribute)?;
            self.takes_keyword("AND").then_some(()).ok_or_else(|| self.expected("AND"))?;
            return Ok(Condition::Between { attribute, from, to: self.value(attribute)? });
        }
        if operator.is_keyword("STARTS_WITH") {
            return match self.value(attribute)? {
                Value::Text(prefix) => Ok(Condition::StartsWith { attribute, prefix }),
                _ => Err(InvalidQuery::Operator { operator: "STARTS_WITH".into(), attribute: attribute.name() }),
            };
        }
        let known = match operator.kind {
            TokenKind::Symbol("=") => Operator::Equal,
            TokenKind::Symbol("!=") => Operator::NotEqual,
            TokenKind::Symbol("<") => Operator::Less,
            TokenKind::Symbol("<=") => Operator::LessOrEqual,
            TokenKind::Symbol(">") => Operator::Greater,
            TokenKind::Symbol(">=") => Operator::GreaterOrEqual,
            TokenKind::Word(_) => return Err(unsupported(&operator)),
            _ => return Err(unexpected(&operator, "an operator")),
        };
        if !matches!(known, Operator::Equal | Operator::NotEqual) {
            self.check_order(attribute, &operator)?;
        }
        Ok(Condition::Compare { attribute, operator: known, value: self.value(attribute)? })
    }

    fn members(&mut self, attribute: Attribute) -> Result<Condition, InvalidQuery> {
        self.takes_symbol("(").then_some(()).ok_or_else(|| self.expected("`(`"))?;
        let mut values = vec![self.value(attribute)?];
        while self.takes_symbol(",") {
            values.push(self.value(attribute)?);
        }
        self.takes_symbol(")").then_some(()).ok_or_else(|| self.expected("`,` or `)`"))?;
        Ok(Condition::In { attribute, values })
    }

    fn attribute(&self, token: &Token<'_>) -> Result<Attribute, InvalidQuery> {
        let (TokenKind::Word(name) | TokenKind::Quoted(name)) = &token.kind else {
            return Err(unexpected(token, "the name of a search attribute"));
        };
        if UNSUPPORTED.iter().any(|keyword| token.is_keyword(keyword)) {
            return Err(unsupported(token));
        }
        Attribute::from_name(name).ok_or_else(|| InvalidQuery::UnknownAttribute { name: name.clone() })
    }

    /// Statuses have no order.
    fn check_order(&self, attribute: Attribute, operator: &Token<'_>) -> Result<(), InvalidQuery> {
        match attribute {
            Attribute::ExecutionStatus => {
                Err(InvalidQuery::Operator { operator: operator.text.to_owned(), attribute: attribute.name() })
            }
            _ => Ok(()),
        }
    }

    fn value(&mut self, attribute: Attribute) -> Result<Value, InvalidQuery> {
        let token = self.take();
        let value = match (attribute, &token.kind) {
            (_, TokenKind::End | TokenKind::Symbol(_)) => return Err(unexpected(&token, "a value")),
            (attribute, kind) if attribute.is_time() => match kind {
                TokenKind::Integer(nanoseconds) => Some(Value::Time(*nanoseconds)),
                TokenKind::Text(text) => text.parse::<Timestamp>().ok().map(|time| Value::Time(nanoseconds(time))),
                _ => None,
            },
            (Attribute::ExecutionStatus, kind) => match kind {
                TokenKind::Integer(number) => i32::try_from(*number).ok().and_then(RunStatus::from_number),
                TokenKind::Text(text) => RunStatus::from_name(text),
                _ => None,
            }
            .map(Value::Status),
            (_, TokenKind::Text(text)) => Some(Value::Text(text.clone())),
            _ => None,
        };
        value.ok_or_else(|| InvalidQuery::Value {
            value: token.text.to_owned(),
            attribute: attribute.name(),
            expected: attribute.expected_value(),
        })
    }

    fn peek(&self) -> &Token<'a> {
        &self.tokens[self.next]
    }

    fn take(&mut self) -> Token<'a> {
        let token = self.peek().clone();
        if token.kind != TokenKind::End {
            self.next += 1;
        }
        token
    }

    fn takes_keyword(&mut self, keyword: &str) -> bool {
        let takes = self.peek().is_keyword(keyword);
        self.next += usize::from(takes);
        takes
    }

    fn takes_symbol(&mut self, symbol: &str) -> bool {
        let takes = self.peek().is_symbol(symbol);
        self.next += usize::from(takes);
        takes
    }

    fn expected(&self, expected: &'static str) -> InvalidQuery {
        unexpected(self.peek(), expected)
    }
}

fn unexpected(token: &Token<'_>, expected: &'static str) -> InvalidQuery {
    match &token.kind {
        TokenKind::End => InvalidQuery::UnexpectedEnd { expected },
        _ if UNSUPPORTED.iter().any(|keyword| token.is_keyword(keyword)) => unsupported(token),
        _ => InvalidQuery::Unexpected { token: token.text.to_owned(), offset: token.offset, expected },
    }
}

/// Words of the full language that we do not have, wherever they stand.
const UNSUPPORTED: [&str; 7] = ["NOT", "IS", "ORDER", "GROUP", "LIKE", "LIMIT", "SELECT"];

fn unsupported(token: &Token<'_>) -> InvalidQuery {
    InvalidQuery::Unsupported { token: token.text.to_owned(), offset: token.offset }
}

/// Times beyond what 64 bits of nanoseconds hold compare like the last one that fits.
fn nanoseconds(time: Timestamp) -> i64 {
    time.seconds.saturating_mul(1_000_000_000).saturating_add(time.nanos.into())
}
