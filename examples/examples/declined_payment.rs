//! An activity with two kinds of failure: a card that is declined permanently, and a bank that is unreachable for a while.

use std::fmt;

use everloop::prelude::*;
use everloop_examples::{Error, until_ctrl_c};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub item: String,
    pub card: String,
}

/// Why a card was not charged. The workflow gets the variants themselves.
#[derive(Debug, ActivityFailure)]
pub enum ChargeError {
    /// The bank declined. Another attempt would not help, so there is none.
    #[failure(non_retryable)]
    Declined { code: u32 },
    /// The bank did not respond. The retry policy decides about further attempts.
    Unreachable,
}

impl fmt::Display for ChargeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declined { code } => write!(f, "the bank declined with code {code}"),
            Self::Unreachable => f.write_str("the bank does not answer"),
        }
    }
}

#[activity(start_to_close_timeout = "10s")]
async fn reserve(item: String) -> ActivityResult<()> {
    println!("activity: reserved a {item}");
    Ok(())
}

#[activity(start_to_close_timeout = "10s")]
async fn release(item: String) -> ActivityResult<()> {
    println!("activity: released the {item}");
    Ok(())
}

/// The bank of this example does not know card 13, never responds for card 99, and misses the first call for every other card.
#[activity(start_to_close_timeout = "10s", retry_policy(maximum_attempts = 3))]
async fn charge(ctx: &ActivityContext, card: String) -> Result<String, ChargeError> {
    let attempt = ctx.info().attempt;
    println!("activity: charges card {card}, attempt {attempt}");
    match card.as_str() {
        "13" => Err(ChargeError::Declined { code: 51 }),
        "99" => Err(ChargeError::Unreachable),
        _ if attempt == 1 => Err(ChargeError::Unreachable),
        _ => Ok(format!("receipt for card {card}")),
    }
}

#[workflow]
#[derive(Default)]
pub struct Sale {}

#[workflow]
impl Sale {
    #[run]
    async fn run(&self, order: Order) -> WorkflowResult<String> {
        reserve(order.item.clone()).await?;
        match charge(order.card).await {
            Ok(receipt) => Ok(receipt),
            // A result that the customer should see: the sale ends well, without a purchase.
            Err(CallError::Failed(ChargeError::Declined { code }, _)) => {
                release(order.item).await?;
                Ok(format!("declined, code {code}"))
            }
            // Still unreachable after all attempts, out of time, or cancelled: the sale fails.
            Err(failure) => {
                release(order.item).await?;
                Err(failure.into())
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::from_env_or("memory:?clock=skipping").await?;
    let worker = Worker::builder(&client, "sales").workflow::<Sale>();
    let worker = worker.activity(reserve).activity(release).activity(charge).build()?;
    worker.run_until(until_ctrl_c(story(client))).await
}

async fn story(client: Client) -> Result<(), Error> {
    for (item, card) in [("lamp", "42"), ("piano", "13"), ("boat", "99")] {
        let order = Order { item: item.into(), card: card.into() };
        match client.execute(Sale::run(order)).task_queue("sales").await {
            Ok(outcome) => println!("{item}: {outcome}\n"),
            Err(error) => println!("{item}: {error}\n"),
        }
    }
    Ok(())
}
