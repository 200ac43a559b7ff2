//! OutputFormat formats: text for people, JSON for programs.

pub(super) mod json;
pub(super) mod table;
pub(super) mod text;
