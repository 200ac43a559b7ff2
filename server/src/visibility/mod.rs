//! Listing and counting runs: filter text -> typed tree -> SQL with bound parameters.

mod error;
mod filter;
mod page;
mod parse;
pub(crate) mod sql;
#[cfg(test)]
mod tests;
mod token;

use everloop_proto::temporal::api::enums::v1::IndexedValueType;

use self::filter::Attribute;

pub(crate) use filter::{Filter, Grouping};
pub(crate) use page::PageKey;
pub(crate) use parse::{parse_count, parse_list};

/// Every search attribute there is, by the name that filters know it by.
pub(crate) fn search_attributes() -> impl Iterator<Item = (&'static str, IndexedValueType)> {
    let kind = |attribute: Attribute| match attribute.is_time() {
        true => IndexedValueType::Datetime,
        false => IndexedValueType::Keyword,
    };
    Attribute::ALL.into_iter().map(move |attribute| (attribute.name(), kind(attribute)))
}
