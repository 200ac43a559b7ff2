//! The macros, with their documentation. They live in a crate of their own because Rust wants it so.

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
/// // A call: plain data, which a client starts.
/// let call = Countdown::run(10);
/// # drop(call);
/// ```
///
/// In the block, [`#[run]`](macro@run) marks the workflow itself, [`#[init]`](macro@init) what makes its first state (without
/// it, `Default` does), and [`#[signal]`](macro@signal), [`#[query]`](macro@query) and [`#[update]`](macro@update) mark what
/// it answers to. All of them take `&self`, because they work on one value by turns; what changes is held in fields of type
/// [`State`](crate::State). Other methods stay what they are.
///
/// Beside the struct stands its handle, `CountdownHandle`, with a method for each signal, query and update, and everything
/// of [`WorkflowHandle`](crate::WorkflowHandle).
///
/// # Options
/// On the block: `name = ".."` is the workflow type on the wire (the struct's name unless given). On both:
/// `crate = path` is the path to everloop where it is not a dependency of its own.
///
/// # What is refused
/// Annotated methods are searched for calls whose result differs on replay, such as `SystemTime::now()` or `tokio::spawn`;
/// the message names the replacement, and [`#[allow_nondeterminism]`](macro@allow_nondeterminism) allows the call.
pub use everloop_macros::workflow;

/// The method that is the workflow, in a [`#[workflow]`](macro@workflow) block.
///
/// `async fn` with `&self` and up to eight inputs, which need `serde::Serialize` and `serde::Deserialize`, as does the
/// result. The result is a value or a `Result` with any error. Calling `Countdown::run(10)` makes a
/// [`WorkflowCall`](crate::WorkflowCall).
pub use everloop_macros::run;

/// The function that makes a workflow's first state from its inputs, in a [`#[workflow]`](macro@workflow) block.
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
/// The function takes the same inputs as [`#[run]`](macro@run). Without one, `Default` makes the first state.
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
/// `fn` or `async fn` with `&self` and up to eight inputs. It returns nothing, or a `Result` of nothing, whose error fails
/// the workflow. Options: `name = ".."` on the wire; `unfinished_policy = abandon` ([`UnfinishedPolicy`](crate::workflow::UnfinishedPolicy)) to
/// end the workflow without a warning while the handler still runs. Other programs send it with a
/// [`SignalCall`](crate::client::SignalCall).
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
/// A plain `fn` with `&self` and up to eight inputs. It reads and changes nothing; a write to a [`State`](crate::State) fails
/// the query. Options: `name = ".."` on the wire. Its method on the handle makes a [`QueryCall`](crate::client::QueryCall).
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
/// `fn` or `async fn` with `&self` and up to eight inputs. Options: `name = ".."` on the wire; `unfinished_policy = abandon`
/// ([`UnfinishedPolicy`](crate::workflow::UnfinishedPolicy)) as for signals; `validator = method` names a method of the block that takes a reference to each input and may reject the
/// update before it leaves a trace in the history. Its method on the handle makes an [`UpdateCall`](crate::client::UpdateCall).
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

/// Makes a function an activity: code that reaches the outside world, is retried when it fails, and runs in a worker that has it.
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
/// // A call: plain data. In a workflow, `.await` runs it; in a test, `ActivityEnvironment::run` does.
/// let call = charge("4242".into(), 500);
/// # drop(call);
/// ```
///
/// `async fn` runs on tokio, a plain `fn` on a pool of threads. Up to eight inputs, which need `serde::Serialize` and
/// `serde::Deserialize`, as does the result: a value, or a `Result` with any error. A parameter that is a reference is the
/// context, `ctx: &ActivityContext`, and no input. The body is reached by the worker and by tests only; what two activities
/// share is a plain function.
///
/// Without a body it is a definition, for calling what runs elsewhere, in another crate or language:
///
/// ```
/// # use everloop::prelude::*;
/// #[activity(name = "ship_parcel", start_to_close_timeout = "1h")]
/// fn ship(address: String) -> String;
/// ```
///
/// # Options
/// Each is a method of [`ActivityOptions`](crate::ActivityOptions) and of a [call](crate::ActivityCall) too: a call can override
/// each option but the name. Durations are written as `"10s"`, `"250ms"` or `"1h 30m"`.
///
/// | option | meaning |
/// | --- | --- |
/// | `name = ".."` | the activity's type on the wire; the function's name unless given |
/// | `start_to_close_timeout = "1m"` | [how long one attempt may take](crate::ActivityOptions::start_to_close_timeout). **Ten minutes** unless this or `schedule_to_close_timeout` is given: an attempt whose worker is lost is retried after that |
/// | `schedule_to_close_timeout = "1h"` | [how long all attempts may take together](crate::ActivityOptions::schedule_to_close_timeout), waiting included; no limit unless given |
/// | `schedule_to_start_timeout = "5m"` | [how long it may wait for a worker](crate::ActivityOptions::schedule_to_start_timeout); no limit unless given |
/// | `heartbeat_timeout = "10s"` | [how long it may be silent](crate::ActivityOptions::heartbeat_timeout) before the attempt counts as lost, for activities that call [`ActivityContext::heartbeat`](crate::ActivityContext::heartbeat) |
/// | `retry_policy(..)` | [how it is retried](crate::RetryPolicy): `initial_interval = "1s"`, `backoff_coefficient = 2.0`, `maximum_interval = "1m"`, `maximum_attempts = 5`, `non_retryable_error_types = ["Declined"]`; for ever unless given |
/// | `cancellation_type = try_cancel` | [what cancelling does](crate::activity::ActivityCancellationType): `try_cancel` (unless given), `wait_cancellation_completed` or `abandon` |
/// | `crate = path` | the path to everloop where it is not a dependency of its own |
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
///     /// Gives the money back.
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
/// attempts share the value; methods without `#[activity]` stay what they are.
pub use everloop_macros::activities;

/// Makes an enum an error that travels from an activity to its caller, which matches its variants.
///
/// ```
/// use everloop::prelude::*;
///
/// #[derive(Debug, ActivityFailure)]
/// enum ChargeError {
///     #[failure(non_retryable)]
///     Declined { code: u32 },
///     /// Is tried again, as the retry policy says.
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
///     let receipt = std::fs::read_to_string(card)?; // `?` takes what the enum can be made of
///     if receipt.is_empty() {
///         return Err(ChargeError::Declined { code: 51 });
///     }
///     Ok(receipt)
/// }
/// ```
///
/// The activity returns `Result<T, ChargeError>`. Awaiting it in a workflow gives
/// [`CallError<ChargeError>`](crate::CallError) in place of [`ActivityFailure`](struct@crate::ActivityFailure), whose
/// `Failed(ChargeError::Declined { code }, _)` can be matched. `?` takes it, too; further out, and where an activity returns
/// [`ActivityResult`](crate::ActivityResult), [`Failure::typed`](crate::Failure::typed) reads the variant and
/// [`ActivityError::typed`](crate::ActivityError::typed) writes it.
///
/// On the wire it is an application failure that every SDK reads: its type is the variant's name, its details are the
/// variant's fields, in order, its message is what `Display` says, or `Debug` where there is no `Display`. A name in
/// `non_retryable_error_types` of a retry policy means the variant of that name.
///
/// The enum needs `Debug`; its fields, up to eight a variant, need `serde::Serialize` and `serde::Deserialize`. A field that
/// is added at the end of a variant and is an `Option` can be missing in what older workers send.
///
/// # Options
/// On a variant: `#[failure(non_retryable)]` where trying again would not help, `#[failure(next_retry_delay = "30s")]` for a delay of
/// its own in place of the retry policy's, `#[failure(benign)]` for an expected outcome that is no cause for a warning (see
/// [`ErrorCategory`](crate::data::ErrorCategory)), `#[failure(name = "..")]` for another name on the wire. On the enum:
/// `#[failure(crate = path)]`.
pub use everloop_macros::ActivityFailure;
