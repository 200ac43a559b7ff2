//! Mocks of activities in tests.

use std::future::Future;
use std::sync::Arc;

use crate::activity::{Activity, ActivityErrorOf, CallErrorType};
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

/// The mock as a worker runs it.
pub(super) fn registered<A: Activity>(mock: impl Mock<A::Args, A::Output, ActivityErrorOf<A>>) -> RegisteredActivity {
    RegisteredActivity {
        blocking: false,
        run: Arc::new(move |_, inputs| {
            let running = mock.call(A::ARGUMENTS.decode(inputs)?);
            let result: SendFuture<_> =
                Box::pin(async move { encode_result::<A>(&running.await.map_err(A::Error::send)?) });
            Ok(result)
        }),
    }
}
