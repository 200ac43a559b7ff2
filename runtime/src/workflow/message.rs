//! The signatures of messages.

use crate::data::{Arguments, Codec};

/// A signal's, query's or update's signature, as a value: one constant for each, used by both sides.
pub struct Message<Args: 'static, Output> {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its inputs.
    pub arguments: &'static dyn Arguments<Args>,
    /// Its result.
    pub output: Codec<Output>,
}
