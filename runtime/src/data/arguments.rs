//! Argument lists: a codec for each argument, checked by type when the program is compiled.

use super::convert::{Codec, EncodeError};
use crate::raw;

/// Inputs or a result do not have the types that the reading code expects.
#[derive(Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer inputs were sent than the function takes.
    #[error("argument {position} `{name}` is missing: {sent} were sent, {wanted} are expected")]
    Missing {
        /// Counted from 1.
        position: usize,
        /// The name of the parameter.
        name: &'static str,
        /// The number of inputs.
        sent: usize,
        /// The number of parameters.
        wanted: usize,
    },
    /// More inputs were sent than the function takes.
    #[error("{sent} arguments were sent, {wanted} are expected")]
    TooMany {
        /// The number of inputs.
        sent: usize,
        /// The number of parameters.
        wanted: usize,
    },
    /// One input is of another type.
    #[error("argument {position} `{name}`: {cause}")]
    Argument {
        /// Counted from 1.
        position: usize,
        /// The name of the parameter.
        name: &'static str,
        /// The mismatch.
        cause: String,
    },
    /// The result is of another type.
    #[error("the result: {0}")]
    Result(String),
    /// The progress that an earlier attempt of an activity recorded is of another type.
    #[error("the progress that an earlier attempt recorded: {0}")]
    Progress(String),
}

debug_as_display!(DecodeError);

/// The codecs of an argument list. The name of each argument is kept for error messages and for tools.
pub trait Arguments<Args>: Sync {
    /// Encodes each argument into a payload.
    fn encode(&self, args: &Args) -> Result<Vec<raw::Payload>, EncodeError>;
    /// Decodes the arguments; the error names the first one that has another type.
    fn decode(&self, inputs: &[raw::Payload]) -> Result<Args, DecodeError>;
}

fn take<T>(codec: &Codec<T>, inputs: &[raw::Payload], index: usize, wanted: usize) -> Result<T, DecodeError> {
    let (name, position) = (codec.name, index + 1);
    match inputs.get(index) {
        Some(input) => (codec.decode)(input).map_err(|cause| DecodeError::Argument { position, name, cause }),
        // A trailing `Option` may be missing, so that a parameter can be added without breaking older callers.
        None => (codec.decode)(&super::convert::encode(&()).expect("`()` always encodes"))
            .map_err(|_| DecodeError::Missing { position, name, sent: inputs.len(), wanted }),
    }
}

fn give<T>(codec: &Codec<T>, value: &T, index: usize) -> Result<raw::Payload, EncodeError> {
    (codec.encode)(value).map_err(|error| error.of(format!("argument {} `{}`", index + 1, codec.name)))
}

fn at_most(inputs: &[raw::Payload], wanted: usize) -> Result<(), DecodeError> {
    match inputs.len() {
        sent if sent > wanted => Err(DecodeError::TooMany { sent, wanted }),
        _ => Ok(()),
    }
}

macro_rules! arguments {
    ($count:literal $($T:ident $index:tt),*) => {
        impl<$($T),*> Arguments<($($T,)*)> for ($(Codec<$T>,)*) {
            #[allow(unused, reason = "an empty list encodes nothing")]
            fn encode(&self, args: &($($T,)*)) -> Result<Vec<raw::Payload>, EncodeError> {
                Ok(vec![$(give(&self.$index, &args.$index, $index)?),*])
            }
            fn decode(&self, inputs: &[raw::Payload]) -> Result<($($T,)*), DecodeError> {
                at_most(inputs, $count)?;
                Ok(($(take(&self.$index, inputs, $index, $count)?,)*))
            }
        }
    };
}
arguments!(0);
arguments!(1 A 0);
arguments!(2 A 0, B 1);
arguments!(3 A 0, B 1, C 2);
arguments!(4 A 0, B 1, C 2, D 3);
arguments!(5 A 0, B 1, C 2, D 3, E 4);
arguments!(6 A 0, B 1, C 2, D 3, E 4, F 5);
arguments!(7 A 0, B 1, C 2, D 3, E 4, F 5, G 6);
arguments!(8 A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::codec;

    #[test]
    fn each_mistake_names_its_argument() {
        let two = (codec::<u32>("amount"), codec::<String>("reason"));
        let encoded = two.encode(&(5, "late".into())).unwrap();
        assert_eq!(two.decode(&encoded), Ok((5, "late".into())));
        let message = two.decode(&encoded[..1]).unwrap_err().to_string();
        assert_eq!(message, "argument 2 `reason` is missing: 1 were sent, 2 are expected");
        let swapped: Vec<_> = encoded.iter().rev().cloned().collect();
        assert!(two.decode(&swapped).unwrap_err().to_string().starts_with("argument 1 `amount`: invalid type"));
        assert_eq!(().decode(&encoded), Err(DecodeError::TooMany { sent: 2, wanted: 0 }));
    }

    #[test]
    fn a_trailing_option_may_be_missing() {
        let two = (codec::<u32>("amount"), codec::<Option<String>>("note"));
        let old_caller = (codec::<u32>("amount"),).encode(&(5,)).unwrap();
        assert_eq!(two.decode(&old_caller), Ok((5, None)));
    }
}
