//! Enums of requests, whose numbers may be of a later version of the protocol.

use crate::engine::error::Refusal;

/// The value of an enum field. Generated accessors take a number without a name for the default, and a request would then mean
/// something that its caller did not say.
///
/// # Errors
///
/// The number has no name.
pub(super) fn known<E: TryFrom<i32>>(field: &str, number: i32) -> Result<E, Refusal> {
    E::try_from(number)
        .map_err(|_| Refusal::invalid(format!("{field} is {number}, a value that this server does not know.")))
}
