//! The macros, with their documentation. As Rust requires, their implementation is in a crate of its own.

/// Makes a struct and its `impl` block a workflow.
///
/// The attribute is written twice: on the struct, which holds the state of a run, and on the one `impl` block with its code.
///
/// ```
/// use everloop::prelude::*;
///
/// /// Counts down, a second at a time.
/// #[workflow]
/// #[derive(Default)]
/// pub struct Countdown {
///     left: State<u32>,
/// }
///
/// #[workflow]
/// impl Countdown {
///     #[run]
///     async fn run(&self, from: u32) -> WorkflowResult<u32> {
///         self.left.set(from);
///         while self.left.get() > 0 {
///             sleep(Duration::from_secs(1)).await?;
///             self.left.update(|left| *left -= 1);
///         }
///         Ok(from)
///     }
/// }
///
/// // A call is plain data that a client starts.
/// let call = Countdown::run(10);
/// # drop(call);
/// ```
///
/// In the block, [`#[run]`](macro@run) marks the main method, [`#[init]`](macro@init) the function that creates the first
/// state (by default, `Default` does), and [`#[signal]`](macro@signal), [`#[query]`](macro@query) and
/// [`#[update]`](macro@update) mark handlers. All methods take `&self`, because they share one value; fields that change have
/// the type [`State`](crate::State). Other methods are not changed.
///
/// The macro also generates the handle of the workflow, `CountdownHandle`, with a method for each signal, query and update, and
/// the methods of [`WorkflowHandle`](crate::WorkflowHandle).
///
/// # Options
/// On the block: `name = ".."` is the workflow type on the wire (by default the struct's name). On both:
/// `crate = path` is the path to everloop, if it is not a direct dependency.
///
/// # Rejected code
/// The macro rejects calls in annotated methods whose result differs on replay, such as `SystemTime::now()` or
/// `tokio::spawn`. The message names the replacement, and [`#[allow_nondeterminism]`](macro@allow_nondeterminism) allows the
/// call.
pub use everloop_macros::workflow;

/// The main method of a workflow, in a [`#[workflow]`](macro@workflow) block.
///
/// The method is an `async fn` with `&self` and up to eight inputs, which need `serde::Serialize` and `serde::Deserialize`, as
/// does the result. The result is a value or a `Result` with any error. `Countdown::run(10)` returns a
/// [`WorkflowCall`](crate::WorkflowCall).
pub use everloop_macros::run;

/// The function that creates a workflow's first state from its inputs, in a [`#[workflow]`](macro@workflow) block.
///
/// ```
/// use everloop::prelude::*;
///
/// #[workflow]
/// pub struct Order {
///     customer: String,
///     paid: State<bool>,
/// }
///
/// #[workflow]
/// impl Order {
///     #[init]
///     fn new(customer: String) -> Self {
///         Self { customer, paid: State::new(false) }
///     }
///
///     #[run]
///     async fn run(&self, _customer: String) -> WorkflowResult<String> {
///         self.paid.wait(|paid| *paid).await?;
///         Ok(format!("{} has paid", self.customer))
///     }
/// }
/// ```
///
/// The function takes the same inputs as [`#[run]`](macro@run). Without it, `Default` creates the first state.
pub use everloop_macros::init;

/// A method that a signal calls, in a [`#[workflow]`](macro@workflow) block.
///
/// ```
/// use everloop::prelude::*;
///
/// #[workflow]
/// #[derive(Default)]
/// pub struct Cart {
///     items: State<Vec<String>>,
///     closed: State<bool>,
/// }
///
/// #[workflow]
/// impl Cart {
///     #[run]
///     async fn run(&self) -> WorkflowResult<Vec<String>> {
///         self.closed.wait(|closed| *closed).await?;
///         Ok(self.items.get())
///     }
///
///     #[signal]
///     fn add(&self, item: String) {
///         self.items.update(|items| items.push(item));
///     }
///
///     // `cancel` is a method of every handle, so this one has another name in Rust.
///     #[signal(name = "cancel")]
///     fn request_cancel(&self) {
///         self.closed.set(true);
///     }
/// }
///
/// async fn shop(handle: CartHandle) -> Result<(), everloop::client::SignalError> {
///     handle.add("tea".into()).await?;
///     handle.request_cancel().await
/// }
/// ```
///
/// The method is a `fn` or `async fn` with `&self` and up to eight inputs. It returns nothing, or a `Result` of nothing, whose
/// error fails the workflow. Options: `name = ".."` on the wire; `unfinished_policy = abandon`
/// ([`UnfinishedPolicy`](crate::workflow::UnfinishedPolicy)) to end the workflow without a warning while the handler still
/// runs. The method of the handle that sends the signal returns a [`SignalCall`](crate::client::SignalCall).
pub use everloop_macros::signal;

/// A method that returns the result of a query, in a [`#[workflow]`](macro@workflow) block.
///
/// ```
/// # use everloop::prelude::*;
/// # #[workflow]
/// # #[derive(Default)]
/// # pub struct Cart { items: State<Vec<String>> }
/// #[workflow]
/// impl Cart {
/// #   #[run]
/// #   async fn run(&self) {}
///     #[query]
///     fn count(&self, what: String) -> usize {
///         self.items.with(|items| items.iter().filter(|item| **item == what).count())
///     }
/// }
///
/// async fn ask(handle: CartHandle) -> Result<usize, everloop::client::QueryError> {
///     handle.count("tea".into()).await
/// }
/// ```
///
/// The method is a plain `fn` with `&self` and up to eight inputs. It must only read; a write to a [`State`](crate::State)
/// fails the query. Options: `name = ".."` on the wire. Its method on the handle returns a
/// [`QueryCall`](crate::client::QueryCall).
pub use everloop_macros::query;

/// A method that handles an update, which changes the workflow and returns a result, in a [`#[workflow]`](macro@workflow) block.
///
/// ```
/// # use everloop::prelude::*;
/// # #[workflow]
/// # #[derive(Default)]
/// # pub struct Cart { items: State<Vec<String>> }
/// #[workflow]
/// impl Cart {
/// #   #[run]
/// #   async fn run(&self) {}
///     #[update(validator = check)]
///     fn add(&self, item: String) -> usize {
///         self.items.update(|items| {
///             items.push(item);
///             items.len()
///         })
///     }
///
///     fn check(&self, item: &str) -> WorkflowResult<()> {
///         match item.is_empty() {
///             true => Err(WorkflowError::new("an item has a name")),
///             false => Ok(()),
///         }
///     }
/// }
///
/// async fn shop(handle: CartHandle) -> Result<usize, everloop::client::UpdateError> {
///     handle.add("tea".into()).await
/// }
/// ```
///
/// The method is a `fn` or `async fn` with `&self` and up to eight inputs. Options: `name = ".."` on the wire;
/// `unfinished_policy = abandon` ([`UnfinishedPolicy`](crate::workflow::UnfinishedPolicy)) as for signals; `validator = method`
/// names a method of the block that takes a reference to each input and may reject the update before it is in the history. Its
/// method on the handle returns an [`UpdateCall`](crate::client::UpdateCall).
pub use everloop_macros::update;

/// Allows a statement or a method that the macro would reject because its result may differ on replay.
///
/// ```
/// use everloop::prelude::*;
///
/// #[workflow]
/// #[derive(Default)]
/// pub struct Report {}
///
/// #[workflow]
/// impl Report {
///     #[run]
///     async fn run(&self) -> WorkflowResult<()> {
///         #[allow_nondeterminism("only printed")]
///         let started = std::time::Instant::now();
///         println!("took {:?}", started.elapsed());
///         Ok(())
///     }
/// }
/// ```
pub use everloop_macros::allow_nondeterminism;

/// Makes a function an activity: code with effects outside of the workflow, which a worker runs, and which is retried when it
/// fails.
///
/// ```
/// use everloop::prelude::*;
///
/// /// Charges a card.
/// #[activity(start_to_close_timeout = "30s", retry_policy(maximum_attempts = 5, non_retryable_error_types = ["Declined"]))]
/// async fn charge(card: String, cents: u64) -> ActivityResult<u64> {
///     println!("charging {card}");
///     Ok(cents)
/// }
///
/// // A call is plain data. In a workflow, `.await` runs it; in a test, `ActivityEnvironment::run` does.
/// let call = charge("4242".into(), 500);
/// # drop(call);
/// ```
///
/// An `async fn` runs on tokio, a plain `fn` on a pool of threads. It has up to eight inputs, which need `serde::Serialize` and
/// `serde::Deserialize`, as does the result: a value, or a `Result` with any error. A parameter that is a reference is the
/// context, `ctx: &ActivityContext`, and no input. Only workers and tests run the body; put code that two activities share
/// into a plain function.
///
/// A function without a body is a definition, to call an activity of another crate or language:
///
/// ```
/// # use everloop::prelude::*;
/// #[activity(name = "ship_parcel", start_to_close_timeout = "1h")]
/// fn ship(address: String) -> String;
/// ```
///
/// # Options
/// Each option is also a method of [`ActivityOptions`](crate::ActivityOptions) and of a [call](crate::ActivityCall): a call can
/// override each option except the name and `heartbeat`. Durations are written as `"10s"`, `"250ms"` or `"1h 30m"`.
///
/// | option | meaning |
/// | --- | --- |
/// | `name = ".."` | the activity's type on the wire; by default the function's name |
/// | `start_to_close_timeout = "1m"` | the [time limit of one attempt](crate::ActivityOptions::start_to_close_timeout). The default is **ten minutes** if `schedule_to_close_timeout` is not set either: an attempt whose worker is lost is retried after that |
/// | `schedule_to_close_timeout = "1h"` | the [time limit of all attempts together](crate::ActivityOptions::schedule_to_close_timeout), including the time between them; by default no limit |
/// | `schedule_to_start_timeout = "5m"` | the [limit of the wait for a worker](crate::ActivityOptions::schedule_to_start_timeout); by default no limit |
/// | `heartbeat_timeout = "10s"` | the [longest time between heartbeats](crate::ActivityOptions::heartbeat_timeout) before the attempt counts as lost, for activities that call [`ActivityContext::heartbeat`](crate::ActivityContext::heartbeat) |
/// | `heartbeat = auto` | the worker sends heartbeats while the future of an `async fn` makes progress: while something wakes it. They repeat the details of the last [`heartbeat`](crate::ActivityContext::heartbeat), and bring cancellations. A future that blocks its thread, or that nothing has woken for the whole `heartbeat_timeout`, counts as lost: a single request that may take longer needs a longer timeout |
/// | `retry_policy(..)` | the [policy for retries](crate::RetryPolicy): `initial_interval = "1s"`, `backoff_coefficient = 2.0`, `maximum_interval = "1m"`, `maximum_attempts = 5`, `non_retryable_error_types = ["Declined"]`; by default without a limit on attempts |
/// | `cancellation_type = try_cancel` | the [effect of a cancellation](crate::activity::ActivityCancellationType): `try_cancel` (the default), `wait_cancellation_completed` or `abandon` |
/// | `crate = path` | the path to everloop, if it is not a direct dependency |
pub use everloop_macros::activity;

/// Makes the methods of an `impl` block activities that share a value: a connection pool, a client, settings.
///
/// ```
/// use everloop::prelude::*;
///
/// pub struct Payments {
///     currency: String,
/// }
///
/// #[activities]
/// impl Payments {
///     /// Refunds a payment.
///     #[activity(start_to_close_timeout = "1m")]
///     async fn refund(&self, ctx: &ActivityContext, cents: u64) -> ActivityResult<String> {
///         let _ = ctx;
///         Ok(format!("{cents} {}", self.currency))
///     }
/// }
///
/// let call = Payments::refund(500);
/// # drop(call);
/// ```
///
/// A worker takes the value with all its activities: `.activities(Payments { currency })`. Methods take `&self`, because all
/// attempts share the value; methods without `#[activity]` are not changed.
pub use everloop_macros::activities;

/// Makes an enum an error that an activity returns and its caller matches by variant.
///
/// ```
/// use everloop::prelude::*;
///
/// #[derive(Debug, ActivityFailure)]
/// enum ChargeError {
///     #[failure(non_retryable)]
///     Declined { code: u32 },
///     /// Retried according to the retry policy.
///     Unreachable(String),
/// }
///
/// impl From<std::io::Error> for ChargeError {
///     fn from(error: std::io::Error) -> Self {
///         Self::Unreachable(error.to_string())
///     }
/// }
///
/// #[activity]
/// fn charge(card: String) -> Result<String, ChargeError> {
///     let receipt = std::fs::read_to_string(card)?; // `?` converts with `From`
///     if receipt.is_empty() {
///         return Err(ChargeError::Declined { code: 51 });
///     }
///     Ok(receipt)
/// }
/// ```
///
/// The activity returns `Result<T, ChargeError>`. A workflow that awaits it receives the error as
/// [`CallError<ChargeError>`](crate::CallError) in place of [`ActivityFailure`](struct@crate::ActivityFailure), and can match
/// `Failed(ChargeError::Declined { code }, _)`. `?` converts it to a [`WorkflowError`](crate::WorkflowError). Callers of the
/// workflow read the variant with [`Failure::typed`](crate::Failure::typed); an activity that returns
/// [`ActivityResult`](crate::ActivityResult) writes it with [`ActivityError::typed`](crate::ActivityError::typed).
///
/// On the wire the error is an application failure that every SDK reads: its type is the variant's name, its details are the
/// variant's fields, in order, and its message is the text of `Display`, or of `Debug` if there is no `Display`. A name in
/// `non_retryable_error_types` of a retry policy means the variant of that name.
///
/// The enum needs `Debug`; its fields, up to eight a variant, need `serde::Serialize` and `serde::Deserialize`. A new last
/// field of a variant can be an `Option`: errors of older workers decode without it.
///
/// # Options
/// On a variant: `#[failure(non_retryable)]` for a final error, `#[failure(next_retry_delay = "30s")]` for a delay in place of
/// the retry policy's, `#[failure(benign)]` for an expected outcome that needs no warning (see
/// [`ErrorCategory`](crate::data::ErrorCategory)), `#[failure(name = "..")]` for another name on the wire. On the enum:
/// `#[failure(crate = path)]`.
pub use everloop_macros::ActivityFailure;
