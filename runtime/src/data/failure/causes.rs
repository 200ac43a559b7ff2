//! Chains of causes, and where they are cut.
//!
//! An error can have thousands of causes: a loop that wraps its last error, each time. Most readers of protobuf stop at a hundred
//! nested messages, and a recursive function stops where its stack ends. So no [`Failure`] is longer than
//! [`Failure::CHAIN_MAX`]: every function that nests one in another ends in [`link`].

use std::error::Error;
use std::iter::{from_fn, once};

use super::{Failure, FailureKind};

/// The type name of the failure that stands for those that were cut.
const MORE_CAUSES: &str = "MoreCauses";

/// How many causes are counted: the sources of an error can be without end.
const COUNTED_MAX: usize = 100_000;

impl Failure {
    /// How many failures a chain of causes has at most. Of a longer chain the outer ones are kept; the last one says how many
    /// causes were cut, and what the innermost of them says.
    pub const CHAIN_MAX: usize = 50;

    /// The same failure with this cause. The chain is cut after [`CHAIN_MAX`](Self::CHAIN_MAX) failures.
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

/// The chain of something else that is nested, deeper perhaps than a stack takes.
pub(super) fn from_nested<T>(outermost: T, take_cause: fn(&mut T) -> Option<T>, convert: fn(T) -> Failure) -> Failure {
    let mut rest = Some(outermost);
    link(from_fn(move || {
        let mut outermost = rest.take()?;
        rest = take_cause(&mut outermost);
        Some(Link::Failure(convert(outermost)))
    }))
}

/// Makes one chain of its links, outermost first.
pub(crate) fn link<'e>(mut links: impl Iterator<Item = Link<'e>>) -> Failure {
    let mut kept: Vec<Failure> = links.by_ref().take(Failure::CHAIN_MAX).map(Link::into_failure).collect();
    if let Some(first) = links.next() {
        // The last place is for what says so.
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
        // The encoded chain is no deeper.
        assert_eq!(Failure::from_wire(failure.clone().into_wire()), failure);
    }
}
