//! The token of one attempt.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Identifies one attempt of one activity, for a program that completes it: see
/// [`ActivityContext::complete_later`](super::ActivityContext::complete_later). Only the server interprets its content, which stays
/// valid after the worker has stopped.
///
/// A token can be stored in a database or sent in a link: `to_string` and `parse` convert it to hexadecimal digits and back, and
/// serde encodes it as that string.
///
/// ```
/// use everloop::activity::TaskToken;
///
/// let token = TaskToken(vec![0, 79, 255].into());
/// assert_eq!(token.to_string(), "004fff");
/// assert_eq!("004fff".parse::<TaskToken>()?, token);
/// # Ok::<_, everloop::activity::TaskTokenError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct TaskToken(pub Bytes);

/// A text that is not a [`TaskToken`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a task token has an even number of hexadecimal digits, as `to_string` writes it; this text is cut off or something else"
)]
pub struct TaskTokenError;

impl fmt::Display for TaskToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TaskToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskToken({self})")
    }
}

impl FromStr for TaskToken {
    type Err = TaskTokenError;

    fn from_str(text: &str) -> Result<Self, TaskTokenError> {
        let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
        let digits = digits.filter(|digits| !digits.is_empty() && digits.len() % 2 == 0).ok_or(TaskTokenError)?;
        let byte = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).expect("two hexadecimal digits are a byte");
        Ok(Self(digits.chunks(2).map(byte).collect()))
    }
}

impl Serialize for TaskToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TaskToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_as_text() {
        let token = TaskToken((0..=255).collect());
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        let json = serde_json::to_string(&token).unwrap();
        assert_eq!(serde_json::from_str::<TaskToken>(&json).unwrap(), token);
        assert!(json.starts_with("\"000102"), "{json}");
    }

    #[test]
    fn a_text_that_was_cut_is_no_token() {
        for text in ["", "0", "004ff", "00 4f", "+0", "zz", "\u{e9}0"] {
            assert_eq!(text.parse::<TaskToken>(), Err(TaskTokenError), "{text}");
        }
    }
}
