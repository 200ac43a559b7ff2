//! The Rust half of the interop tests: workflows that Python starts, activities that Python's workflows call, and workflows that
//! call Python.
//!
//! ```text
//! interop-worker ADDRESS TASK_QUEUE
//! ```

use std::error::Error;

use everloop::activity::ActivityCancellationType;
use everloop::prelude::*;
use everloop::testing::Replayer;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Purchase {
    pub item_id: String,
    pub user_id: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum PurchaseStatus {
    #[default]
    Pending,
    Cancelled,
    Completed,
}

/// Sells everything except the moon; needs two attempts.
#[activity(start_to_close_timeout = "10s", retry_policy(initial_interval = "100ms"))]
async fn do_purchase(ctx: &ActivityContext, purchase: Purchase) -> ActivityResult<String> {
    if purchase.item_id == "moon" {
        return Err(ActivityError::non_retryable("not for sale").type_name("Refused").details(purchase));
    }
    match ctx.info().attempt {
        1 => Err(ActivityError::new("the shop is closed for a moment")),
        attempt => Ok(format!("{} for {}, attempt {attempt}", purchase.item_id, purchase.user_id)),
    }
}

/// Runs until it is cancelled, and reports the cancellation.
#[activity(start_to_close_timeout = "30s", heartbeat_timeout = "2s")]
async fn wait_in_rust(ctx: &ActivityContext) -> ActivityResult<()> {
    loop {
        ctx.heartbeat("waiting")?;
        tokio::select! {
            _ = ctx.cancelled() => return Err(ActivityError::cancelled()),
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
}

/// A purchase that can be changed, watched and cancelled for some time before it is made.
#[workflow]
pub struct OneClickBuy {
    status: State<PurchaseStatus>,
    purchase: State<Purchase>,
}

#[workflow]
impl OneClickBuy {
    // The handler of a signal or an update may run in the first task, before `run`: it finds the purchase here.
    #[init]
    fn new(purchase: Purchase, _wait_ms: u64) -> Self {
        Self { status: State::default(), purchase: State::new(purchase) }
    }

    #[run]
    async fn run(&self, _purchase: Purchase, wait_ms: u64) -> WorkflowResult<String> {
        if sleep(Duration::from_millis(wait_ms)).await.is_err() {
            self.status.set(PurchaseStatus::Cancelled);
            return Ok("cancelled in time".to_owned());
        }
        let receipt = do_purchase(self.purchase.get()).await?;
        self.status.set(PurchaseStatus::Completed);
        Ok(receipt)
    }

    #[signal]
    fn update_purchase(&self, purchase: Purchase) {
        self.purchase.set(purchase);
    }

    #[query]
    fn current_status(&self) -> PurchaseStatus {
        self.status.get()
    }

    /// Returns the buyer's name.
    #[update(validator = check_user)]
    fn give_to(&self, user_id: String) -> String {
        self.purchase.update(|purchase| std::mem::replace(&mut purchase.user_id, user_id))
    }

    fn check_user(&self, user_id: &str) -> WorkflowResult<()> {
        if user_id.is_empty() {
            return Err(WorkflowError::new("nobody is no user").type_name("NoUser"));
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Words {
    pub count: u32,
    pub longest: String,
}

// These three are written in Python.
#[activity(start_to_close_timeout = "10s")]
fn count_words(text: String) -> Words;

#[activity(start_to_close_timeout = "10s")]
fn refuse_in_python(item: String) -> ();

#[activity(start_to_close_timeout = "30s", heartbeat_timeout = "2s")]
fn wait_in_python() -> ();

/// Counts in a Python activity.
#[workflow]
#[derive(Default)]
pub struct Essay {}

#[workflow]
impl Essay {
    #[run]
    async fn run(&self, text: String, python: String) -> WorkflowResult<String> {
        let words = count_words(text).task_queue(python).await?;
        Ok(format!("{} words, the longest is {}", words.count, words.longest))
    }
}

/// Reads the details of Python's error, then returns the error.
#[workflow]
#[derive(Default)]
pub struct Refusal {
    seen: State<String>,
}

#[workflow]
impl Refusal {
    #[run]
    async fn run(&self, item: String, python: String) -> WorkflowResult<()> {
        if let Err(error) = refuse_in_python(item).task_queue(python).await {
            let failure = error.failure();
            self.seen.set(format!("{}: {}", failure.type_name().unwrap_or_default(), failure.root_message()));
            return Err(error.into());
        }
        Ok(())
    }

    #[query]
    fn seen(&self) -> String {
        self.seen.get()
    }
}

/// Waits for an activity in Python; after a cancellation, until that activity has stopped.
#[workflow]
#[derive(Default)]
pub struct LongWait {}

#[workflow]
impl LongWait {
    #[run]
    async fn run(&self, python: String) -> WorkflowResult<()> {
        let waiting = wait_in_python().task_queue(python);
        waiting.cancellation_type(ActivityCancellationType::WaitCancellationCompleted).await?;
        Ok(())
    }
}

// These three are the same in Python.
#[activity(start_to_close_timeout = "10s")]
async fn add_one(n: u32) -> u32 {
    n + 1
}

#[activity(start_to_close_timeout = "10s")]
async fn refuse_locally(item: String) -> ActivityResult<()> {
    Err(ActivityError::non_retryable(format!("no {item} here")).type_name("Refused"))
}

#[activity(start_to_close_timeout = "10s")]
async fn add_slowly(n: u32) -> u32 {
    // Longer than the workflow task may take, which goes on in another one.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    n + 1
}

/// Adds by local activities. Python has the same workflow, and each replays the histories of the other.
#[workflow]
#[derive(Default)]
pub struct LocalSum {}

#[workflow]
impl LocalSum {
    #[run]
    async fn run(&self, n: u32) -> WorkflowResult<u32> {
        let one = add_one(n).local().await?;
        let (two, three) = join!(add_one(one).local(), add_one(one + 1).local());
        let mut three = three?;
        if refuse_locally("moon".into()).local().await.is_err() {
            three += 100;
        }
        Ok(two? + add_slowly(three).local().await?)
    }
}

/// Written in Python under the name `Tally`: adds up signals until it is told to end.
#[workflow]
#[derive(Default)]
pub struct PythonTally {}

#[workflow(name = "Tally")]
impl PythonTally {
    #[run]
    async fn run(&self, first: u32) -> WorkflowResult<u32> {
        Err(WorkflowError::new(format!("only Python runs it, with {first}")))
    }

    #[signal]
    fn add(&self, number: u32) {
        _ = number;
    }

    #[signal]
    fn end(&self) {}
}

/// Has a child in Python, which it signals; or which it cancels with itself.
#[workflow]
#[derive(Default)]
pub struct CallsPython {}

#[workflow]
impl CallsPython {
    #[run]
    async fn run(&self, python: String, cancels: bool) -> WorkflowResult<String> {
        let tally = PythonTally::run(1).task_queue(python).start().await?;
        tally.add(2).await?;
        if cancels {
            tally.cancel();
        } else {
            tally.end().await?;
        }
        Ok(match tally.result().await {
            Ok(sum) => format!("the sum is {sum}"),
            Err(failure) if failure.is_cancelled() => "the child was cancelled".to_owned(),
            Err(failure) => return Err(failure.into()),
        })
    }
}

/// Replays histories that a server has.
struct Histories {
    client: Client,
}

#[activities]
impl Histories {
    #[activity(start_to_close_timeout = "10s")]
    async fn replay(&self, workflow_id: String) -> ActivityResult<String> {
        let history = self.client.workflow_handle::<LocalSum>(workflow_id).history().await?;
        let replayed = Replayer::new().workflow::<LocalSum>().replay(&history);
        Ok(replayed.map_or_else(|failure| failure.to_string(), |()| "it replays".to_owned()))
    }
}

/// Replays the history of a workflow that another language ran.
#[workflow]
#[derive(Default)]
pub struct Replays {}

#[workflow]
impl Replays {
    #[run]
    async fn run(&self, workflow_id: String) -> WorkflowResult<String> {
        Ok(Histories::replay(workflow_id).await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(task_queue), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: interop-worker ADDRESS TASK_QUEUE".into());
    };
    let client = Client::connect(&address).await?;
    let worker = Worker::builder(&client, &task_queue)
        .workflow::<OneClickBuy>()
        .workflow::<Essay>()
        .workflow::<Refusal>()
        .workflow::<LongWait>()
        .workflow::<LocalSum>()
        .workflow::<Replays>()
        .workflow::<CallsPython>()
        .activities(Histories { client: client.clone() })
        .activity(add_one)
        .activity(refuse_locally)
        .activity(add_slowly)
        .activity(do_purchase)
        .activity(wait_in_rust)
        .build()?;
    Ok(worker.run().await?)
}
