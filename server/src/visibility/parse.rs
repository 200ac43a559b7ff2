//! Tokens -> typed tree.
//!
//! ```text
//! any     = all { OR all }
//! all     = single { AND single }
//! single  = "(" any ")" | attribute comparison
//! ```

use std::sync::Arc;

use prost_types::Timestamp;

use super::error::{InvalidQuery, Problem};
use super::filter::{Condition, Filter, Grouping, Operator, Value};
use super::schema::{Attribute, AttributeType, STATUS, Schema};
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
/// Returns the first part that is wrong or not supported, and its position.
pub(crate) fn parse_list(text: &str, schema: &Schema) -> Result<Filter, InvalidQuery> {
    parse(text, schema, |parser| parser.filter())
}

/// Parses the filter of a count, which may end with `GROUP BY ExecutionStatus`.
///
/// # Errors
///
/// Returns the first part that is wrong or not supported, and its position.
pub(crate) fn parse_count(text: &str, schema: &Schema) -> Result<(Filter, Grouping), InvalidQuery> {
    parse(text, schema, |parser| {
        let filter = parser.filter()?;
        let grouping = if parser.takes_keyword("GROUP") { parser.grouping()? } else { Grouping::None };
        Ok((filter, grouping))
    })
}

/// Parses a whole text.
fn parse<'a, T>(
    text: &'a str,
    schema: &'a Schema,
    part: impl FnOnce(&mut Parser<'a>) -> Result<T, Problem>,
) -> Result<T, InvalidQuery> {
    let parsed = Parser::new(text, schema).and_then(|mut parser| {
        let parsed = part(&mut parser)?;
        parser.end()?;
        Ok(parsed)
    });
    parsed.map_err(|problem| InvalidQuery::new(&problem, schema))
}

struct Parser<'a> {
    schema: &'a Schema,
    /// Ends with [`TokenKind::End`], which is never passed.
    tokens: Vec<Token<'a>>,
    next: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, schema: &'a Schema) -> Result<Self, Problem> {
        if text.len() > LENGTH_MAX {
            return Err(Problem::TooLong { bytes: text.len(), bytes_max: LENGTH_MAX });
        }
        Ok(Self { schema, tokens: tokens(text)?, next: 0, depth: 0 })
    }

    fn filter(&mut self) -> Result<Filter, Problem> {
        let is_empty = self.peek().kind == TokenKind::End || self.peek().is_keyword("GROUP");
        Ok(Filter { condition: if is_empty { None } else { Some(self.any()?) } })
    }

    fn grouping(&mut self) -> Result<Grouping, Problem> {
        if !self.takes_keyword("BY") {
            return Err(self.expected("BY"));
        }
        let token = self.take();
        match self.attribute(&token)?.name.as_str() {
            STATUS => Ok(Grouping::ByStatus),
            _ => Err(Problem::Grouping { name: token.text.to_owned() }),
        }
    }

    fn end(&mut self) -> Result<(), Problem> {
        match self.peek().kind {
            TokenKind::End => Ok(()),
            _ => Err(self.expected("AND, OR or the end")),
        }
    }

    fn any(&mut self) -> Result<Condition, Problem> {
        self.joined("OR", Self::all, Condition::Any)
    }

    fn all(&mut self) -> Result<Condition, Problem> {
        self.joined("AND", Self::single, Condition::All)
    }

    fn joined(
        &mut self,
        keyword: &str,
        part: fn(&mut Self) -> Result<Condition, Problem>,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Condition, Problem> {
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

    fn single(&mut self) -> Result<Condition, Problem> {
        if !self.takes_symbol("(") {
            return self.comparison();
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Problem::TooDeep { depth_max: DEPTH_MAX });
        }
        let inner = self.any()?;
        self.takes_symbol(")").then_some(()).ok_or_else(|| self.expected("AND, OR or `)`"))?;
        self.depth -= 1;
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Condition, Problem> {
        let token = self.take();
        let attribute = self.attribute(&token)?;
        let operator = self.take();
        if operator.is_keyword("IN") {
            return self.members(attribute);
        }
        if operator.is_keyword("BETWEEN") {
            check_order(&attribute, &operator)?;
            let from = self.value(&attribute)?;
            self.takes_keyword("AND").then_some(()).ok_or_else(|| self.expected("AND"))?;
            let to = self.value(&attribute)?;
            return Ok(Condition::Between { attribute, from, to });
        }
        if operator.is_keyword("STARTS_WITH") {
            // The start of a text says nothing about a list.
            if attribute.kind == AttributeType::KeywordList {
                check_order(&attribute, &operator)?;
            }
            return match self.value(&attribute)? {
                Value::Text(prefix) => Ok(Condition::StartsWith { attribute, prefix }),
                _ => Err(Problem::Operator { operator: "STARTS_WITH".into(), attribute: attribute.name.clone() }),
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
            check_order(&attribute, &operator)?;
        }
        let value = self.value(&attribute)?;
        Ok(Condition::Compare { attribute, operator: known, value })
    }

    fn members(&mut self, attribute: Arc<Attribute>) -> Result<Condition, Problem> {
        self.takes_symbol("(").then_some(()).ok_or_else(|| self.expected("`(`"))?;
        let mut values = vec![self.value(&attribute)?];
        while self.takes_symbol(",") {
            values.push(self.value(&attribute)?);
        }
        self.takes_symbol(")").then_some(()).ok_or_else(|| self.expected("`,` or `)`"))?;
        Ok(Condition::In { attribute, values })
    }

    fn attribute(&self, token: &Token<'_>) -> Result<Arc<Attribute>, Problem> {
        let (TokenKind::Word(name) | TokenKind::Quoted(name)) = &token.kind else {
            return Err(unexpected(token, "the name of a search attribute"));
        };
        if UNSUPPORTED.iter().any(|keyword| token.is_keyword(keyword)) {
            return Err(unsupported(token));
        }
        self.schema.find(name).cloned().ok_or_else(|| Problem::UnknownAttribute { name: name.clone() })
    }

    fn value(&mut self, attribute: &Attribute) -> Result<Value, Problem> {
        let token = self.take();
        if let TokenKind::End | TokenKind::Symbol(_) = token.kind {
            return Err(unexpected(&token, "a value"));
        }
        let value = match (attribute.kind, &token.kind) {
            (AttributeType::Keyword | AttributeType::KeywordList, TokenKind::Text(text)) => {
                Some(Value::Text(text.clone()))
            }
            (AttributeType::Status, TokenKind::Integer(number)) => {
                i32::try_from(*number).ok().and_then(RunStatus::from_number).map(Value::Status)
            }
            (AttributeType::Status, TokenKind::Text(text)) => RunStatus::from_name(text).map(Value::Status),
            (AttributeType::Time, TokenKind::Integer(nanoseconds)) => Some(Value::Time(*nanoseconds)),
            (AttributeType::Time, TokenKind::Text(text)) => {
                text.parse::<Timestamp>().ok().map(|time| Value::Time(nanoseconds(time)))
            }
            _ => None,
        };
        value.ok_or_else(|| Problem::Value {
            value: token.text.to_owned(),
            attribute: attribute.name.clone(),
            expected: attribute.kind.expected_value(),
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

    fn expected(&self, expected: &'static str) -> Problem {
        unexpected(self.peek(), expected)
    }
}

/// An operator that compares by order is only for attributes that have one.
fn check_order(attribute: &Attribute, operator: &Token<'_>) -> Result<(), Problem> {
    if attribute.kind.has_order() {
        return Ok(());
    }
    Err(Problem::Operator { operator: operator.text.to_owned(), attribute: attribute.name.clone() })
}

fn unexpected(token: &Token<'_>, expected: &'static str) -> Problem {
    match &token.kind {
        TokenKind::End => Problem::UnexpectedEnd { expected },
        _ if UNSUPPORTED.iter().any(|keyword| token.is_keyword(keyword)) => unsupported(token),
        _ => Problem::Unexpected { token: token.text.to_owned(), offset: token.offset, expected },
    }
}

/// Words of the full language that we do not have, wherever they stand.
const UNSUPPORTED: [&str; 7] = ["NOT", "IS", "ORDER", "GROUP", "LIKE", "LIMIT", "SELECT"];

fn unsupported(token: &Token<'_>) -> Problem {
    Problem::Unsupported { token: token.text.to_owned(), offset: token.offset }
}

/// Times beyond what 64 bits of nanoseconds hold compare like the last one that fits.
fn nanoseconds(time: Timestamp) -> i64 {
    time.seconds.saturating_mul(1_000_000_000).saturating_add(time.nanos.into())
}
