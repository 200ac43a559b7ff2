//! Queries.

use super::phase::Phase;
use super::{Run, listed, panic_failure};
use crate::data::{Failure, Headers};
use crate::executor::current;
use crate::executor::panic::catch;
use crate::raw;

/// The built-in query that lists the operations a workflow waits for.
const STACK_TRACE: &str = "__stack_trace";

/// The failure of a query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueryFailure {
    pub(crate) failure: Box<Failure>,
}

impl Run {
    /// Returns the result of a query of the current state. Polls no coroutine.
    pub(crate) fn query(
        &self,
        name: &str,
        input: &[raw::Payload],
        headers: &Headers,
    ) -> Result<raw::Payload, QueryFailure> {
        let fail = |failure: Failure| QueryFailure { failure: failure.into() };
        if let Phase::Failed(failure) = &self.phase {
            return Err(fail(failure.to_failure()));
        }
        if name == STACK_TRACE {
            let waiting = self.core.waiting();
            let text = if waiting.is_empty() { "not waiting".to_owned() } else { waiting.join("\n") };
            return crate::data::encode(&text).map_err(|error| fail(Failure::from_error(&error)));
        }
        let Some(instance) = &self.instance else {
            return Err(fail(Failure::application("QueryFailed", "the workflow has not started yet")));
        };
        let _entered = current::enter(&self.core);
        let reader = format!("the query `{name}`");
        // A query is never a replay, even after a replayed task, so its log lines are written.
        let was_replaying = self.core.is_replaying();
        self.core.set_replaying(false);
        let answer = catch(|| self.core.reading(&reader, || instance.query(name, input, headers)));
        self.core.set_replaying(was_replaying);
        match answer {
            Ok(Some(Ok(answer))) => Ok(answer),
            Ok(Some(Err(error))) => Err(fail(error.into_failure())),
            Ok(None) => {
                let known = listed(&instance.query_names());
                let message = format!("there is no query `{name}`; there are: {known}");
                Err(fail(Failure::application("UnknownQuery", message)))
            }
            Err(panic) => Err(fail(panic_failure(panic))),
        }
    }
}
