//! Children that borrow from their parent, and none of which outlives it.

use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::task::Poll;

use futures_util::stream::{FuturesUnordered, Stream};

use crate::errors::WorkflowError;

type Child<'env> = Pin<Box<dyn Future<Output = Result<(), WorkflowError>> + 'env>>;

/// Runs children that may borrow what stands before the call. It ends when the body and all children have; the first error
/// drops the others, which cancels what they wait for, and is the scope's own.
///
/// ```
/// use everloop::prelude::*;
///
/// async fn wait_for_all(limits: &[Duration]) -> WorkflowResult<usize> {
///     scope(async |s| {
///         for limit in limits {
///             s.spawn(async { Ok(sleep(*limit).await?) });
///         }
///         Ok(limits.len())
///     })
///     .await
/// }
/// ```
///
/// # Errors
/// The first error of the body or of a child.
pub async fn scope<'env, R>(
    body: impl AsyncFnOnce(&Scope<'env>) -> Result<R, WorkflowError>,
) -> Result<R, WorkflowError> {
    let scope = Scope { new: RefCell::default(), _env: PhantomData };
    // Polls a child only when it was woken, in wake order; declared first, so that the body is dropped before them.
    let mut children: FuturesUnordered<Child<'env>> = FuturesUnordered::new();
    let mut result = None;
    let mut body = pin!(body(&scope));
    std::future::poll_fn(|cx| {
        loop {
            if result.is_none()
                && let Poll::Ready(returned) = body.as_mut().poll(cx)
            {
                match returned {
                    Ok(value) => result = Some(value),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            let mut moved = !scope.new.borrow().is_empty();
            children.extend(scope.new.take());
            while let Poll::Ready(Some(ended)) = pin!(&mut children).poll_next(cx) {
                moved = true;
                if let Err(error) = ended {
                    return Poll::Ready(Err(error));
                }
                children.extend(scope.new.take());
            }
            if let Some(value) = result.take_if(|_| children.is_empty()) {
                return Poll::Ready(Ok(value));
            }
            if !moved {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Where children are spawned. See [`scope`].
pub struct Scope<'env> {
    new: RefCell<Vec<Child<'env>>>,
    _env: PhantomData<std::cell::Cell<&'env ()>>,
}

impl<'env> Scope<'env> {
    /// Adds a child; it starts when the body waits or ends.
    pub fn spawn<F>(&self, child: F)
    where
        F: Future<Output = Result<(), WorkflowError>> + 'env,
    {
        self.new.borrow_mut().push(Box::pin(child));
    }
}
