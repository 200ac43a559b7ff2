//! Listing and counting runs: filter text -> typed tree -> SQL with bound parameters.

mod error;
mod filter;
mod page;
mod parse;
mod schema;
pub(crate) mod sql;
#[cfg(test)]
mod tests;
mod token;

pub(crate) use filter::{Filter, Grouping};
pub(crate) use page::PageKey;
pub(crate) use parse::{parse_count, parse_list};
pub(crate) use schema::Schema;
