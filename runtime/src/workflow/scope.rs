//! Children that borrow from their parent, and none of which outlives it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::task::Poll;

use super::pool::Pool;
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
    let scope = Scope { new: RefCell::default(), limit: Cell::new(None), _env: PhantomData };
    // Declared before the body, so that the body is dropped first.
    let mut children: Pool<Child<'env>> = Pool::new();
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
            let mut moved = scope.hand_over(&mut children);
            while let Poll::Ready(Some(ended)) = children.poll_next(scope.limit.get().unwrap_or(usize::MAX), cx) {
                moved = true;
                if let Err(error) = ended {
                    return Poll::Ready(Err(error));
                }
                scope.hand_over(&mut children);
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

/// Spawns child coroutines. See [`scope`].
pub struct Scope<'env> {
    new: RefCell<Vec<Child<'env>>>,
    limit: Cell<Option<usize>>,
    _env: PhantomData<Cell<&'env ()>>,
}

impl<'env> Scope<'env> {
    /// Adds a child; it starts when the body waits or ends.
    pub fn spawn<F>(&self, child: F)
    where
        F: Future<Output = Result<(), WorkflowError>> + 'env,
    {
        self.new.borrow_mut().push(Box::pin(child));
    }

    /// Runs at most `children` children at once, from now on; those beyond start in the order they were spawned, as others end.
    ///
    /// If the workflow (or the coroutine that waits for this scope) is asked to cancel, children that have not started take the
    /// request with their first operation, which returns [`Cancelled`](crate::Cancelled): so they schedule nothing more. The
    /// [guide](crate::guide::cancellation) compares this with foreign combinators.
    ///
    /// ```
    /// # use everloop::prelude::*;
    /// # #[activity] async fn resize(image: u32) -> ActivityResult<()> { Ok(()) }
    /// async fn resize_all(images: Vec<u32>) -> WorkflowResult<()> {
    ///     scope(async |s| {
    ///         s.limit(5);
    ///         for image in images {
    ///             s.spawn(async move { Ok(resize(image).await?) });
    ///         }
    ///         Ok(())
    ///     })
    ///     .await
    /// }
    /// ```
    ///
    /// # Panics
    /// If `children` is zero.
    #[track_caller]
    pub fn limit(&self, children: usize) -> &Self {
        assert!(children > 0, "a scope with a limit of zero would never start a child");
        self.limit.set(Some(children));
        self
    }

    /// Moves new children to the pool. False if there are none.
    fn hand_over(&self, children: &mut Pool<Child<'env>>) -> bool {
        let new = self.new.take();
        let any = !new.is_empty();
        for child in new {
            match self.limit.get() {
                None => children.push(child),
                Some(_) => children.push_waiting(child),
            }
        }
        any
    }
}
