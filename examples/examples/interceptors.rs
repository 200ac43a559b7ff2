//! A tenant and a trace that no function mentions, from the caller through the workflow to its activities; and a count of attempts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use everloop::client::{CallReply, ClientCall, ClientCallError, ClientInterceptor, NextCall};
use everloop::prelude::*;
use everloop::raw;
use everloop::worker::{ActivityAttempt, NextActivity, OutgoingCommand, WorkerInterceptor};
use everloop_examples::{Error, until_ctrl_c};

tokio::task_local! {
    /// The tenant and the trace of the request that this task handles.
    static REQUEST: Request;
}

#[derive(Clone)]
struct Request {
    tenant: String,
    trace: String,
}

/// Carries the request: the client writes it into headers, workflows hand them on, and activities find it where the caller had it.
struct Requests;

impl ClientInterceptor for Requests {
    async fn call(&self, mut call: ClientCall, next: NextCall<'_>) -> Result<CallReply, ClientCallError> {
        // Cancelling, describing and listing have no headers.
        if let Some(headers) = call.headers_mut() {
            let request =
                REQUEST.try_with(Clone::clone).map_err(|_| ClientCallError::refused("no request is known"))?;
            headers.insert("tenant", &request.tenant).map_err(ClientCallError::refused)?;
            headers.insert("trace", &request.trace).map_err(ClientCallError::refused)?;
        }
        next.run(call).await
    }
}

impl WorkerInterceptor for Requests {
    fn outgoing(&self, command: &mut OutgoingCommand<'_>) {
        command.pass_on("tenant");
        command.pass_on("trace");
    }

    async fn activity(
        &self,
        attempt: ActivityAttempt<'_>,
        next: NextActivity<'_>,
    ) -> Result<raw::Payload, ActivityError> {
        let header = |name: &str| attempt.info.headers.get::<String>(name).and_then(Result::ok);
        match header("tenant").zip(header("trace")) {
            Some((tenant, trace)) => REQUEST.scope(Request { tenant, trace }, next.run(attempt)).await,
            None => Err(ActivityError::non_retryable("a call without a request")),
        }
    }
}

/// Counts attempts of activities: nothing in it knows of tenants.
#[derive(Clone, Default)]
struct Attempts {
    completed: Arc<AtomicU32>,
    failed: Arc<AtomicU32>,
}

impl WorkerInterceptor for Attempts {
    async fn activity(
        &self,
        attempt: ActivityAttempt<'_>,
        next: NextActivity<'_>,
    ) -> Result<raw::Payload, ActivityError> {
        let result = next.run(attempt).await;
        let counter = if result.is_ok() { &self.completed } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        result
    }
}

#[activity(start_to_close_timeout = "1m")]
async fn invoice(ctx: &ActivityContext, order: u32) -> ActivityResult<String> {
    if ctx.info().attempt == 1 {
        return Err(ActivityError::new("the printer is busy"));
    }
    Ok(REQUEST.with(|request| format!("invoice {order} for {} ({})", request.tenant, request.trace)))
}

#[workflow]
#[derive(Default)]
pub struct Billing;

#[workflow]
impl Billing {
    #[run]
    async fn run(&self, order: u32) -> WorkflowResult<String> {
        Ok(invoice(order).await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let attempts = Attempts::default();
    let client = Client::builder("memory:?clock=skipping").env().interceptor(Requests).task_queue("bills").await?;
    let worker = Worker::builder(&client, "bills")
        .workflow::<Billing>()
        .activity(invoice)
        .interceptor(attempts.clone())
        .interceptor(Requests)
        .build()?;
    worker.run_until(until_ctrl_c(story(client))).await?;
    let count = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
    println!("{} attempts completed, {} failed", count(&attempts.completed), count(&attempts.failed));
    Ok(())
}

async fn story(client: Client) -> Result<(), Error> {
    for (order, tenant) in [(1, "Ada"), (2, "Bob")] {
        let request = Request { tenant: tenant.to_owned(), trace: format!("trace-{order}") };
        let bill = REQUEST.scope(request, client.execute(Billing::run(order)).into_future()).await?;
        println!("{bill}");
    }
    match client.start(Billing::run(3)).await {
        Ok(_) => println!("anybody may start a workflow"),
        Err(error) => println!("{error}"),
    }
    Ok(())
}
