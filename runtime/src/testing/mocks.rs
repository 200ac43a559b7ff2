//! Mocks of activities in tests.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::activity::{Activity, ActivityErrorOf, CallErrorType};
use crate::raw;
use crate::registry::{RegisteredActivity, encode_result};
use crate::tasks::SendFuture;

/// A mock of an activity in a test: a function of its arguments that returns its result.
#[diagnostic::on_unimplemented(
    message = "this mock does not fit its activity",
    label = "expected a function from `{Args}` to `async {{ Result<{Output}, {Error}> }}`",
    note = "arguments are listed as a tuple; write their types: `|purchase: Purchase| async {{ Ok(()) }}`"
)]
pub trait Mock<Args, Output, Error>: Send + Sync + 'static {
    #[doc(hidden)]
    fn call(&self, args: Args) -> SendFuture<Result<Output, Error>>;
}

macro_rules! arity {
    ($($P:ident $p:ident),*) => {
        #[diagnostic::do_not_recommend]
        impl<M, Returned, Output, Error, $($P),*> Mock<($($P,)*), Output, Error> for M
        where
            M: Fn($($P),*) -> Returned + Send + Sync + 'static,
            Returned: Future<Output = Result<Output, Error>> + Send + 'static,
        {
            fn call(&self, ($($p,)*): ($($P,)*)) -> SendFuture<Result<Output, Error>> {
                Box::pin(self($($p),*))
            }
        }
    };
}
arity!();
arity!(P1 a);
arity!(P1 a, P2 b);
arity!(P1 a, P2 b, P3 c);
arity!(P1 a, P2 b, P3 c, P4 d);
arity!(P1 a, P2 b, P3 c, P4 d, P5 e);
arity!(P1 a, P2 b, P3 c, P4 d, P5 e, P6 f);
arity!(P1 a, P2 b, P3 c, P4 d, P5 e, P6 f, P7 g);
arity!(P1 a, P2 b, P3 c, P4 d, P5 e, P6 f, P7 g, P8 h);

/// The attempts that reached a mock, in the order of their start. Clones share them.
///
/// ```
/// use everloop::prelude::*;
/// use everloop::testing::WorkflowEnvironment;
///
/// #[activity(start_to_close_timeout = "10s")]
/// async fn refund(order: String) -> ActivityResult<()> {
///     Err(ActivityError::new(format!("no bank for {order}")))
/// }
///
/// #[workflow]
/// #[derive(Default)]
/// struct Cancellation {}
///
/// #[workflow]
/// impl Cancellation {
///     #[run]
///     async fn run(&self, order: String) -> WorkflowResult<()> {
///         Ok(refund(order).await?)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let env = WorkflowEnvironment::start().await?;
/// let refunds = env.mock(refund, |_order: String| async { Ok(()) });
/// let worker = env.worker("test").workflow::<Cancellation>().build()?;
/// worker.run_until(env.client().execute(Cancellation::run("order-7".into()))).await?;
/// assert_eq!(refunds.count(), 1);
/// assert_eq!(refunds.inputs(), [("order-7".to_owned(),)]);
/// # Ok(())
/// # }
/// ```
pub struct MockCalls<A> {
    inputs: Arc<Mutex<Vec<Vec<raw::Payload>>>>,
    of: PhantomData<fn() -> A>,
}

impl<A> MockCalls<A> {
    fn new() -> Self {
        Self { inputs: Arc::default(), of: PhantomData }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<raw::Payload>>> {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of attempts that reached the mock. Retries of a call count as well.
    pub fn count(&self) -> usize {
        self.lock().len()
    }
}

impl<A: Activity> MockCalls<A> {
    /// The arguments of each attempt, as a tuple.
    pub fn inputs(&self) -> Vec<A::Args> {
        let decode = |inputs: &Vec<raw::Payload>| {
            A::ARGUMENTS.decode(inputs).expect("an attempt is recorded after its arguments were decoded")
        };
        self.lock().iter().map(decode).collect()
    }
}

impl<A> Clone for MockCalls<A> {
    fn clone(&self) -> Self {
        Self { inputs: Arc::clone(&self.inputs), of: PhantomData }
    }
}

impl<A> fmt::Debug for MockCalls<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockCalls").field("count", &self.count()).finish()
    }
}

/// Returns the mock in the form that workers run, and its calls.
pub(super) fn registered<A: Activity>(
    mock: impl Mock<A::Args, A::Output, ActivityErrorOf<A>>,
) -> (RegisteredActivity, MockCalls<A>) {
    let calls = MockCalls::new();
    let recorded = calls.clone();
    let registered = RegisteredActivity {
        blocking: false,
        auto_heartbeat: A::AUTO_HEARTBEAT,
        run: Arc::new(move |_, inputs| {
            let arguments = A::ARGUMENTS.decode(inputs)?;
            recorded.lock().push(inputs.to_vec());
            let running = mock.call(arguments);
            let result: SendFuture<_> =
                Box::pin(async move { encode_result::<A>(&running.await.map_err(A::Error::send)?) });
            Ok(result)
        }),
    };
    (registered, calls)
}
