//! Conversion of errors of any type into failures.

use std::error::Error;
use std::iter::{from_fn, once};

use super::{ActivityFailure, Cancelled, ChildFailure, WholeFailure};
use crate::data::{Failure, Link, link, short_type_name, unlink};

impl Failure {
    /// Converts an error of any type: the last segment of its type's name, its text, its sources as causes. An error that holds
    /// a failure becomes that failure.
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

/// The failure that an error holds, if any.
fn known(error: &(dyn Error + 'static)) -> Option<Failure> {
    if error.is::<Cancelled>() {
        return Some(Failure::cancelled("cancelled"));
    }
    let failure = error.downcast_ref::<ActivityFailure>().map(ActivityFailure::failure);
    let failure = failure.or_else(|| error.downcast_ref::<ChildFailure>().map(ChildFailure::failure));
    let whole = || error.source()?.downcast_ref::<WholeFailure>().map(|whole| &whole.0);
    failure.or_else(|| error.downcast_ref::<Failure>()).or_else(whole).cloned()
}

/// An error and its sources, to the end or to the first that holds a failure.
fn sources<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = Link<'e>> {
    let (mut next, mut rest) = (Some(error), None);
    from_fn(move || {
        if let Some(error) = next {
            next = error.source();
            match known(error) {
                Some(failure) => (next, rest) = (None, Some(unlink(failure))),
                None => return Some(Link::Error(error)),
            }
        }
        rest.as_mut()?.next().map(Link::Failure)
    })
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    /// An error with this number of sources.
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
}
