//! A filter as SQL over the store's `run` table. Values are always bound, never part of the text.

use rusqlite::types::Value as SqlValue;

use super::filter::{Condition, Filter, Operator, Value};
use super::schema::AttributeType;

/// Appends ` AND (…)` for the filter, and the values of its parameters in their order.
pub(crate) fn push_condition(filter: &Filter, sql: &mut String, values: &mut Vec<SqlValue>) {
    if let Some(condition) = &filter.condition {
        sql.push_str(" AND ");
        push(condition, sql, values);
    }
}

fn push(condition: &Condition, sql: &mut String, values: &mut Vec<SqlValue>) {
    match condition {
        Condition::All(conditions) => push_joined(conditions, " AND ", sql, values),
        Condition::Any(conditions) => push_joined(conditions, " OR ", sql, values),
        Condition::Compare { attribute, operator, value } if attribute.kind == AttributeType::KeywordList => {
            // A list without the text, be it that there is no list, is not equal to it.
            sql.push_str(if *operator == Operator::NotEqual { "NOT " } else { "" });
            push_has_member(&attribute.sql, std::slice::from_ref(value), sql, values);
        }
        Condition::In { attribute, values: members } if attribute.kind == AttributeType::KeywordList => {
            push_has_member(&attribute.sql, members, sql, values);
        }
        Condition::Compare { attribute, operator, value } => {
            sql.push_str(&attribute.sql);
            sql.push_str(match operator {
                Operator::Equal => " = ?",
                Operator::NotEqual => " <> ?",
                Operator::Less => " < ?",
                Operator::LessOrEqual => " <= ?",
                Operator::Greater => " > ?",
                Operator::GreaterOrEqual => " >= ?",
            });
            values.push(bound(value));
        }
        Condition::Between { attribute, from, to } => {
            sql.push_str(&attribute.sql);
            sql.push_str(" BETWEEN ? AND ?");
            values.extend([bound(from), bound(to)]);
        }
        Condition::In { attribute, values: members } => {
            sql.push_str(&attribute.sql);
            push_members(members, sql, values);
        }
        // The cut of an empty text is NULL in SQLite, and not an empty text.
        Condition::StartsWith { prefix, .. } if prefix.is_empty() => sql.push_str("TRUE"),
        Condition::StartsWith { attribute, prefix } => {
            // Not LIKE, which would need escapes and ignores case. As bytes, since SQLite takes a text for ended where it
            // counts characters up to a NUL.
            sql.push_str("substr(CAST(");
            sql.push_str(&attribute.sql);
            sql.push_str(" AS BLOB), 1, ?) = ?");
            let bytes = prefix.clone().into_bytes();
            values.extend([SqlValue::Integer(bytes.len().try_into().unwrap_or(i64::MAX)), SqlValue::Blob(bytes)]);
        }
    }
}

/// Whether a list, which is given as the table of its members, has one of some values.
fn push_has_member(list: &str, members: &[Value], sql: &mut String, values: &mut Vec<SqlValue>) {
    sql.push_str("EXISTS (SELECT 1 FROM ");
    sql.push_str(list);
    sql.push_str(" AS member WHERE member.value");
    push_members(members, sql, values);
    sql.push(')');
}

fn push_members(members: &[Value], sql: &mut String, values: &mut Vec<SqlValue>) {
    sql.push_str(" IN (");
    for (index, member) in members.iter().enumerate() {
        sql.push_str(if index == 0 { "?" } else { ", ?" });
        values.push(bound(member));
    }
    sql.push(')');
}

fn push_joined(conditions: &[Condition], word: &str, sql: &mut String, values: &mut Vec<SqlValue>) {
    sql.push('(');
    for (index, condition) in conditions.iter().enumerate() {
        if index > 0 {
            sql.push_str(word);
        }
        push(condition, sql, values);
    }
    sql.push(')');
}

fn bound(value: &Value) -> SqlValue {
    match value {
        Value::Text(text) => SqlValue::Text(text.clone()),
        Value::Status(status) => SqlValue::Integer(status.number().into()),
        Value::Time(nanoseconds) => SqlValue::Integer(*nanoseconds),
    }
}
