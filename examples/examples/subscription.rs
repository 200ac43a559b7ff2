//! A subscription that bills each month for years: after each year it continues as new, so that no history gets long and each
//! year begins with the code of today.

use everloop::prelude::*;
use everloop_examples::{Error, until_ctrl_c};

const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// State that a year hands over to the next one.
#[derive(Clone, Serialize, Deserialize)]
pub struct Subscriber {
    pub name: String,
    pub monthly_price: u32,
    pub bills_sent: u32,
}

#[activity(start_to_close_timeout = "10s")]
async fn send_bill(subscriber: Subscriber) -> ActivityResult<()> {
    if subscriber.bills_sent.is_multiple_of(12) {
        println!("activity: bill {} of {} for {}", subscriber.bills_sent, subscriber.name, subscriber.monthly_price);
    }
    Ok(())
}

#[workflow]
pub struct Subscription {
    subscriber: State<Subscriber>,
    is_cancelled: State<bool>,
}

#[workflow]
impl Subscription {
    /// The state of a year comes from its arguments: before the first signal, and after each year.
    #[init]
    fn new(subscriber: Subscriber) -> Self {
        Self { subscriber: State::new(subscriber), is_cancelled: State::new(false) }
    }

    /// Returns how many bills were sent.
    #[run]
    async fn run(&self, _subscriber: Subscriber) -> WorkflowResult<u32> {
        for _month in 1..=12 {
            // A month, or until the subscriber has enough.
            if timeout(MONTH, self.is_cancelled.wait(|is_cancelled| *is_cancelled)).await.is_ok() {
                return Ok(self.subscriber.with(|subscriber| subscriber.bills_sent));
            }
            self.subscriber.update(|subscriber| subscriber.bills_sent += 1);
            send_bill(self.subscriber.get()).await?;
        }
        // Ends this run, and begins the next one with the same id. Callers see one workflow.
        continue_as_new(Self::run(self.subscriber.get())).await
    }

    #[signal]
    fn change_price(&self, monthly_price: u32) {
        self.subscriber.update(|subscriber| subscriber.monthly_price = monthly_price);
    }

    #[signal]
    fn cancel_subscription(&self) {
        self.is_cancelled.set(true);
    }

    #[query]
    fn bills_sent(&self) -> u32 {
        self.subscriber.with(|subscriber| subscriber.bills_sent)
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    // Months pass only in an engine of this process, whose clock can jump.
    let client = Client::connect("memory:?clock=skipping").await?;
    let worker = Worker::builder(&client, "subscriptions").workflow::<Subscription>().activity(send_bill).build()?;
    worker.run_until(until_ctrl_c(story(client))).await
}

async fn story(client: Client) -> Result<(), Error> {
    let clock = client.engine_clock().ok_or("the engine is elsewhere")?.clone();
    let ann = Subscriber { name: "Ann".into(), monthly_price: 5, bills_sent: 0 };
    let subscription = client.start(Subscription::run(ann)).id("subscription-ann").task_queue("subscriptions").await?;

    clock.sleep(MONTH * 15 + MONTH / 2).await;
    subscription.change_price(7).await?;
    println!("after 15 months: {} bills", subscription.bills_sent().await?);

    clock.sleep(MONTH * 15).await;
    subscription.cancel_subscription().await?;
    println!("cancelled after {} bills", subscription.result().await?);

    for (year, history) in (1..).zip(subscription.histories().await?) {
        println!(
            "year {year}: {} events, the last is {}",
            history.len(),
            history.event_names().last().unwrap_or_default()
        );
    }
    Ok(())
}
