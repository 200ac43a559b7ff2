// An activity is completed with a result, an error or a token of another type.
use everloop::activity::TaskToken;
use everloop::prelude::*;

#[derive(Debug, ActivityFailure)]
pub enum ApproveError {
    Unknown,
}

#[activity]
async fn approve(ctx: &ActivityContext, expense: u64) -> ActivityResult<bool> {
    println!("may {expense} be spent?");
    Err(ctx.complete_later())
}

/// An error type of its own has no place for it: the activity returns `ActivityResult`.
#[activity]
async fn look_up(ctx: &ActivityContext) -> Result<u64, ApproveError> {
    Err(ctx.complete_later())
}

#[activity]
fn elsewhere(expense: u64) -> Result<bool, ApproveError>;

fn plain(expense: u64) -> bool {
    expense < 10
}

pub async fn result(client: &Client, token: TaskToken) {
    let _ = client.activity_handle(approve, token).complete("yes").await;
}

pub async fn error(client: &Client, token: TaskToken) {
    let _ = client.activity_handle(elsewhere, token).fail(ActivityError::new("unknown")).await;
}

pub async fn function(client: &Client, token: TaskToken) {
    let _ = client.activity_handle(plain, token);
}

pub async fn token(client: &Client, token: &str) {
    let _ = client.activity_handle(approve, token);
}

fn main() {}
