//! Chains of causes, and where they are cut.
//!
//! An error can have thousands of causes: a loop that wraps its last error, each time. Most readers of protobuf stop at a hundred
//! nested messages, and a recursive function stops where its stack ends. So no [`Failure`] is longer than
//! [`Failure::CHAIN_MAX`]: every function that nests one in another ends in [`link`].

use std::error::Error;
use std::iter::{from_fn, once};

use super::{Failure, FailureKind, short_type_name};
use crate::activity::{ActivityFailure, WholeFailure};
use crate::workflow::Cancelled;

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

    /// An error of any type: the last segment of its type's name, its text, its sources as causes. Errors that hold a failure
    /// give it.
    pub(crate) fn from_error<E: Error + 'static>(error: &E) -> Self {
        match known(error) {
            Some(failure) => failure,
            None => {
                let outermost = Self::application(short_type_name::<E>(), error.to_string());
                link(once(Link::Failure(outermost)).chain(error.source().into_iter().flat_map(sources)))
            }
        }
    }
}

/// The failure of an error that holds one.
fn known(error: &(dyn Error + 'static)) -> Option<Failure> {
    if error.is::<Cancelled>() {
        return Some(Failure::cancelled("cancelled"));
    }
    let failure = error.downcast_ref::<ActivityFailure>().map(ActivityFailure::failure);
    let whole = || error.source()?.downcast_ref::<WholeFailure>().map(|whole| &whole.0);
    failure.or_else(|| error.downcast_ref::<Failure>()).or_else(whole).cloned()
}

/// One link of a chain.
#[expect(clippy::large_enum_variant, reason = "each lives for a moment")]
enum Link<'e> {
    Failure(Failure),
    /// It becomes a failure if it is kept.
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

/// An error and its sources, to the end or to the first that holds a failure.
fn sources<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = Link<'e>> {
    let (mut next, mut rest) = (Some(error), None);
    from_fn(move || {
        if let Some(error) = next {
            next = error.source();
            match known(error) {
                Some(failure) => (next, rest) = (None, Some(Box::new(failure))),
                None => return Some(Link::Error(error)),
            }
        }
        take_outermost(&mut rest).map(Link::Failure)
    })
}

/// The failures of a chain, outermost first, each without its cause.
fn unlink(failure: Failure) -> impl Iterator<Item = Failure> {
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
fn link<'e>(mut links: impl Iterator<Item = Link<'e>>) -> Failure {
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

/// What stands for so many failures that were cut.
fn more_causes(cut: u64, innermost: Failure) -> Failure {
    // Where the innermost says that itself, both were cut.
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
    use std::fmt;

    use super::*;

    /// An error with so many errors below it.
    #[derive(Debug)]
    struct Nested {
        level: usize,
        source: Option<Box<Nested>>,
    }

    impl Nested {
        fn of(levels: usize) -> Self {
            (1..levels).fold(Self { level: 1, source: None }, |inner, level| Self {
                level: level + 1,
                source: Some(Box::new(inner)),
            })
        }
    }

    impl fmt::Display for Nested {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "level {}", self.level)
        }
    }

    impl Error for Nested {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.source.as_deref().map(|source| source as _)
        }
    }

    impl Drop for Nested {
        fn drop(&mut self) {
            let mut next = self.source.take();
            while let Some(mut nested) = next {
                next = nested.source.take();
            }
        }
    }

    fn innermost(failure: &Failure) -> &str {
        failure.root_message()
    }

    #[derive(Debug, thiserror::Error)]
    #[error("card refused")]
    struct Declined<T: fmt::Debug>(#[source] std::num::ParseIntError, T);

    #[test]
    fn an_error_becomes_its_type_its_text_and_its_sources() {
        let failure = Failure::from_error(&Declined("x".parse::<u8>().unwrap_err(), 1u8));
        assert_eq!(failure.type_name(), Some("Declined"));
        assert_eq!(failure.to_string(), "Declined: card refused: invalid digit found in string");
    }

    #[test]
    fn the_outer_causes_of_an_error_are_kept_and_the_rest_is_counted() {
        let whole = Failure::from_error(&Nested::of(Failure::CHAIN_MAX));
        assert_eq!(whole.chain().count(), 50);
        assert_eq!(innermost(&whole), "level 1");

        let cut = Failure::from_error(&Nested::of(20_000));
        let messages: Vec<&str> = cut.chain().map(|failure| failure.message.as_str()).collect();
        assert_eq!(messages.len(), Failure::CHAIN_MAX);
        assert_eq!(messages[..3], ["level 20000", "level 19999", "level 19998"]);
        assert_eq!(messages[48..], ["level 19952", "19951 more causes were cut; the innermost says: level 1"]);
        assert_eq!(cut.type_name(), Some("Nested"));
    }

    #[test]
    fn a_chain_that_was_cut_and_is_nested_again_counts_all_of_them() {
        let cut = Failure::from_error(&Nested::of(20_000));
        let again = (0..3).fold(cut, |cause, _| Failure::application("Around", "it failed").caused_by(cause));
        assert_eq!(again.chain().count(), Failure::CHAIN_MAX);
        assert_eq!(innermost(&again), "19954 more causes were cut; the innermost says: level 1");
        assert_eq!(again.chain().nth(3).unwrap().message, "level 20000");
    }

    #[test]
    fn the_sources_of_an_error_can_be_without_end() {
        #[derive(Debug, thiserror::Error)]
        #[error("again")]
        struct Endless;
        #[derive(Debug)]
        struct Cycle(&'static Endless);
        impl fmt::Display for Cycle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl Error for Cycle {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&CYCLE)
            }
        }
        static CYCLE: Cycle = Cycle(&Endless);
        let failure = Failure::from_error(&Cycle(&Endless));
        assert_eq!(innermost(&failure), "100002 more causes were cut; the innermost says: again");
    }

    #[test]
    fn a_source_that_holds_a_failure_keeps_it() {
        #[derive(Debug, thiserror::Error)]
        #[error("no receipt")]
        struct NoReceipt(#[source] Failure);
        let declined = Failure::application("Declined", "no").caused_by(Failure::cancelled("stop"));
        let failure = Failure::from_error(&NoReceipt(declined.clone()));
        assert_eq!(failure.cause(), Some(&declined));
        assert_eq!(failure.to_string(), "NoReceipt: no receipt: Declined: no: stop");
    }

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
        assert!(innermost(&failure).starts_with("19952 more causes were cut"), "{failure}");
        // What is sent is no deeper.
        assert_eq!(Failure::from_wire(failure.clone().into_wire()), failure);
    }
}
