//! Chains of causes, and the limit of their length.
//!
//! An error can have thousands of causes, for example if a loop wraps its last error each time. Most protobuf decoders reject
//! more than a hundred nested messages, and recursive functions overflow their stack. So the length of a [`Failure`] is limited
//! to [`Failure::CHAIN_MAX`]: every function that nests failures calls [`link`].

use std::error::Error;
use std::iter::{from_fn, once};

use super::{Failure, FailureKind};

/// The type name of the placeholder for failures that were cut.
const MORE_CAUSES: &str = "MoreCauses";

/// The limit on counted causes: the chain of an error's sources can be endless.
const COUNTED_MAX: usize = 100_000;

impl Failure {
    /// The maximum length of a chain of causes. A longer chain keeps its outer failures; its last one contains the number of
    /// causes that were cut, and the message of the innermost.
    pub const CHAIN_MAX: usize = 50;

    /// Sets the cause. The chain is cut after [`CHAIN_MAX`](Self::CHAIN_MAX) failures.
    pub fn caused_by(mut self, cause: Self) -> Self {
        self.cause = None;
        link(once(self).chain(unlink(cause)).map(Link::Failure))
    }
}

/// One link of a chain.
#[expect(clippy::large_enum_variant, reason = "each lives for a moment")]
pub(crate) enum Link<'e> {
    Failure(Failure),
    /// An error, converted only if it is kept.
    Error(&'e (dyn Error + 'static)),
}

impl Link<'_> {
    fn into_failure(self) -> Failure {
        match self {
            Self::Failure(failure) => failure,
            Self::Error(error) => Failure::application("", error.to_string()),
        }
    }
}

/// The failures of a chain, outermost first, each without its cause.
pub(crate) fn unlink(failure: Failure) -> impl Iterator<Item = Failure> {
    let mut rest = Some(Box::new(failure));
    from_fn(move || take_outermost(&mut rest))
}

fn take_outermost(chain: &mut Option<Box<Failure>>) -> Option<Failure> {
    let mut outermost = chain.take()?;
    *chain = outermost.cause.take();
    Some(*outermost)
}

/// Converts a chain of another type, which may be nested deeper than the stack allows.
pub(super) fn from_nested<T>(outermost: T, take_cause: fn(&mut T) -> Option<T>, convert: fn(T) -> Failure) -> Failure {
    let mut rest = Some(outermost);
    link(from_fn(move || {
        let mut outermost = rest.take()?;
        rest = take_cause(&mut outermost);
        Some(Link::Failure(convert(outermost)))
    }))
}

/// Builds a chain from its links, outermost first.
pub(crate) fn link<'e>(mut links: impl Iterator<Item = Link<'e>>) -> Failure {
    let mut kept: Vec<Failure> = links.by_ref().take(Failure::CHAIN_MAX).map(Link::into_failure).collect();
    if let Some(first) = links.next() {
        // The last place is for the placeholder.
        kept.pop();
        let (cut, innermost) = links.take(COUNTED_MAX).fold((2, first), |(cut, _), link| (cut + 1, link));
        kept.push(more_causes(cut, innermost.into_failure()));
    }
    let chain = kept.into_iter().rev().reduce(|cause, failure| Failure { cause: Some(Box::new(cause)), ..failure });
    chain.expect("a chain begins with a failure")
}

/// The placeholder for a number of failures that were cut.
fn more_causes(cut: u64, innermost: Failure) -> Failure {
    // If the innermost failure is such a placeholder itself, the counts are added.
    let (cut, message) = match already_cut(&innermost) {
        Some((before, message)) => (cut - 1 + before, message),
        None => (cut, innermost.message),
    };
    let mut failure =
        Failure::application(MORE_CAUSES, format!("{cut} more causes were cut; the innermost says: {message}"));
    if let FailureKind::Application { details, .. } = &mut failure.kind {
        let pushed = details.push(&cut).and_then(|()| details.push(&message));
        pushed.expect("a number and a text always encode");
    }
    failure
}

fn already_cut(failure: &Failure) -> Option<(u64, String)> {
    match &failure.kind {
        FailureKind::Application { type_name, details, .. } if type_name == MORE_CAUSES => {
            Some((details.get(0)?.ok()?, details.get(1)?.ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_any_depth_is_read() {
        use everloop_proto::temporal::api::failure::v1::Failure as Wire;
        let deep = (0..20_000).fold(Wire::default(), |cause, level| Wire {
            message: format!("level {level}"),
            cause: Some(Box::new(cause)),
            ..Default::default()
        });
        let failure = Failure::from_wire(deep);
        assert_eq!(failure.chain().count(), Failure::CHAIN_MAX);
        assert_eq!(failure.message, "level 19999");
        assert!(failure.root_message().starts_with("19952 more causes were cut"), "{failure}");
        // The encoded chain is not deeper than the failure's.
        assert_eq!(Failure::from_wire(failure.clone().into_wire()), failure);
    }
}
