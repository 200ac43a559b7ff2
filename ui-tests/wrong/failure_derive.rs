// Errors that an activity cannot send to its caller.
use everloop::prelude::*;

#[derive(Debug, ActivityFailure)]
struct Declined {
    code: u32,
}

#[derive(Debug, ActivityFailure)]
enum Generic<T> {
    Declined(T),
}

#[derive(Debug, ActivityFailure)]
enum Nothing {}

#[derive(Debug, ActivityFailure)]
#[failure(non_retryable)]
enum Options {
    #[failure(retryable)]
    First,
    #[failure(non_retryable = true)]
    Second,
    #[failure(name = "First")]
    Third,
    Fourth(#[failure(non_retryable)] u32),
    #[failure(non_retryable, next_retry_delay = "1m")]
    Fifth,
    #[failure(benign = true)]
    Sixth,
}

#[derive(Debug, ActivityFailure)]
enum Unsent {
    Refused(std::time::Instant),
}

#[derive(ActivityFailure)]
enum Unprinted {
    Refused,
}

/// An error without a conversion or the derive.
#[derive(Debug)]
enum Forgotten {
    Refused,
}

#[activity]
async fn charge() -> Result<u32, Forgotten> {
    Err(Forgotten::Refused)
}

#[derive(Debug, ActivityFailure)]
enum ChargeError {
    Refused { code: u32 },
}

#[activity]
async fn pay() -> Result<u32, ChargeError> {
    Err(ChargeError::Refused { code: 1 })
}

#[workflow]
#[derive(Default)]
struct Pays {}

#[workflow]
impl Pays {
    #[run]
    async fn run(&self) -> WorkflowResult<u32> {
        match pay().await {
            Err(ChargeError::Refused { code }) => Ok(code),
            other => Ok(other?),
        }
    }
}

fn main() {}
