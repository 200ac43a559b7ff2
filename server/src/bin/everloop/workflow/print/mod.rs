//! How things look: as text for people, as JSON for programs.

pub(super) mod json;
pub(super) mod table;
pub(super) mod text;
