// A mock with another error type than its activity.
use everloop::prelude::*;
use everloop::testing::WorkflowEnvironment;

#[derive(Debug, ActivityFailure)]
pub enum ChargeError {
    Declined { code: u32 },
}

#[activity]
pub async fn charge(cents: u64) -> Result<String, ChargeError> {
    Err(ChargeError::Declined { code: cents as u32 })
}

pub async fn wrong(env: &WorkflowEnvironment) {
    env.mock(charge, |_: u64| async { Err(ActivityError::new("declined")) });
}

fn main() {}
