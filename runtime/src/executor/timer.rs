//! One timer of one run: `Requested -> Running -> Fired | Cancelled`.

use super::error::ReplayError;

/// Each state holds what only it can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// The command is queued; history does not know it yet.
    Requested {
        id: u64,
    },
    /// The server runs it.
    Running {
        id: u64,
    },
    Fired,
    Cancelled,
}

/// What cancelling asks of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CancelTimer {
    /// The command that starts it has not left: take it back.
    Withdraw,
    /// Send a command.
    Command { id: u64 },
    /// It is over.
    Nothing,
}

impl Timer {
    /// History has the event that started it.
    pub(super) fn started(self) -> Self {
        match self {
            Self::Requested { id } => Self::Running { id },
            other => other,
        }
    }

    pub(super) fn fired(self, event_id: i64) -> Result<Self, ReplayError> {
        match self {
            Self::Running { .. } => Ok(Self::Fired),
            // The cancel command and the firing crossed; the server decides, and tells by which event it writes.
            Self::Cancelled => Ok(Self::Cancelled),
            Self::Requested { .. } => Err(ReplayError::invalid(event_id, "TimerFired before TimerStarted")),
            Self::Fired => Err(ReplayError::invalid(event_id, "TimerFired twice for one timer")),
        }
    }

    pub(super) fn cancel(self) -> (Self, CancelTimer) {
        match self {
            Self::Requested { .. } => (Self::Cancelled, CancelTimer::Withdraw),
            Self::Running { id } => (Self::Cancelled, CancelTimer::Command { id }),
            over => (over, CancelTimer::Nothing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_fires_once_and_only_after_it_started() {
        let requested = Timer::Requested { id: 1 };
        assert!(requested.fired(5).is_err());
        let fired = requested.started().fired(5).unwrap();
        assert!(fired.fired(6).is_err());
        assert_eq!(fired.cancel(), (Timer::Fired, CancelTimer::Nothing));
    }

    #[test]
    fn cancelling_takes_back_what_has_not_left() {
        let requested = Timer::Requested { id: 1 };
        assert_eq!(requested.cancel().1, CancelTimer::Withdraw);
        assert_eq!(requested.started().cancel().1, CancelTimer::Command { id: 1 });
        let (cancelled, _) = requested.started().cancel();
        assert_eq!(cancelled.cancel().1, CancelTimer::Nothing);
    }
}
