//! Page tokens of lists.

use crate::model::RunKey;

const VERSION: u8 = 1;

/// Where a page of runs ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageKey {
    pub(crate) close_time_ns: Option<i64>,
    pub(crate) start_time_ns: i64,
    pub(crate) run: RunKey,
}

impl PageKey {
    /// The key as an opaque token: version, whether it is closed, close time, start time, run.
    pub(crate) fn to_token(self) -> Vec<u8> {
        let mut token = vec![VERSION, u8::from(self.close_time_ns.is_some())];
        for number in [self.close_time_ns.unwrap_or_default(), self.start_time_ns, self.run.0] {
            token.extend(number.to_be_bytes());
        }
        token
    }

    /// The key of a token that [`PageKey::to_token`] made; none for any other bytes.
    pub(crate) fn from_token(token: &[u8]) -> Option<Self> {
        let &[VERSION, is_closed @ (0 | 1), ref numbers @ ..] = token else { return None };
        let (numbers, []) = numbers.as_chunks::<8>() else { return None };
        let &[close_time, start_time, run] = numbers else { return None };
        Some(Self {
            close_time_ns: (is_closed == 1).then(|| i64::from_be_bytes(close_time)),
            start_time_ns: i64::from_be_bytes(start_time),
            run: RunKey(i64::from_be_bytes(run)),
        })
    }
}
