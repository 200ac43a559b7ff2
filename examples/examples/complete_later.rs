//! An activity that a person completes: its function sends a link and returns, and the page behind the link sends the result.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use everloop::activity::TaskToken;
use everloop::prelude::*;
use everloop_examples::{Error, until_ctrl_c};
use tokio::sync::Notify;

/// The person's decision. It is the result of the activity, so the compiler checks the value that the web page sends.
#[derive(Debug, Serialize, Deserialize)]
pub enum Decision {
    Approved,
    Rejected { reason: String },
}

/// The mails that were sent, in place of a mail server: a link for each expense.
#[derive(Clone, Default)]
pub struct Mail {
    links: Arc<Mutex<HashMap<String, String>>>,
    sent: Arc<Notify>,
}

#[activities]
impl Mail {
    /// Requests a person's approval, which may take a week. No worker is busy meanwhile.
    #[activity(start_to_close_timeout = "7days")]
    async fn ask_for_approval(&self, ctx: &ActivityContext, expense: String) -> ActivityResult<Decision> {
        println!("activity: mailed a link for {expense}");
        // The token names this attempt. As text it goes anywhere: into a link, a database, another service.
        let token = ctx.info().task_token.to_string();
        self.links.lock().expect("nobody panics while holding it").insert(expense, token);
        self.sent.notify_one();
        Err(ctx.complete_later())
    }
}

#[workflow]
#[derive(Default)]
pub struct Expense {}

#[workflow]
impl Expense {
    #[run]
    async fn run(&self, expense: String) -> WorkflowResult<String> {
        Ok(match Mail::ask_for_approval(expense.clone()).await? {
            Decision::Approved => format!("{expense}: paid"),
            Decision::Rejected { reason } => format!("{expense}: not paid, {reason}"),
        })
    }
}

/// Handles a click on the link in the web page's server, which needs a client, and no worker.
async fn follow_link(client: &Client, token: &str, decision: Decision) -> Result<(), Error> {
    let token: TaskToken = token.parse()?;
    client.activity_handle(Mail::ask_for_approval, token).complete(decision).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::from_env_or("memory:?clock=skipping").await?;
    let mail = Mail::default();
    let worker = Worker::builder(&client, "expenses").workflow::<Expense>().activities(mail.clone()).build()?;
    worker.run_until(until_ctrl_c(story(client, mail))).await
}

async fn story(client: Client, mail: Mail) -> Result<(), Error> {
    let rejection = Decision::Rejected { reason: "we have one".to_owned() };
    for (expense, decision) in [("a lamp", Decision::Approved), ("a piano", rejection)] {
        let handle = client.start(Expense::run(expense.to_owned())).task_queue("expenses").await?;
        mail.sent.notified().await;
        let link = mail.links.lock().expect("nobody panics while holding it").remove(expense).unwrap_or_default();
        println!("person: {decision:?}");
        follow_link(&client, &link, decision).await?;
        println!("{}", handle.result().await?);
    }
    Ok(())
}
