//! The signatures of messages.

use crate::data::{Arguments, Codec};

/// The signature of a signal, query or update as a value. Clients and workers use the same constant.
pub struct Message<Args: 'static, Output> {
    /// The name on the wire.
    pub name: &'static str,
    /// The inputs.
    pub arguments: &'static dyn Arguments<Args>,
    /// The result.
    pub output: Codec<Output>,
}
