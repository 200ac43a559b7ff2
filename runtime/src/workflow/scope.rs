//! Child coroutines that borrow from their parent and do not outlive it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::task::Poll;

use super::pool::Pool;
use crate::errors::WorkflowError;

type Child<'env> = Pin<Box<dyn Future<Output = Result<(), WorkflowError>> + 'env>>;

/// Runs child coroutines that may borrow variables of the caller. The scope ends when the body and all children have ended.
/// The first error ends the scope: the other children are dropped, which cancels their operations, and the scope returns the
/// error.
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
    // Declared before the body, so that the children are dropped after it.
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
    /// Adds a child, which starts when the body waits or ends.
    pub fn spawn<F>(&self, child: F)
    where
        F: Future<Output = Result<(), WorkflowError>> + 'env,
    {
        self.new.borrow_mut().push(Box::pin(child));
    }

    /// Runs at most `children` children at once from now on; the next ones start in the order of their spawns when others end.
    ///
    /// If the workflow (or the coroutine that waits for this scope) is cancelled, the first operation of each child that has
    /// not started returns [`Cancelled`](crate::Cancelled), so these children schedule nothing. The
    /// [guide](crate::guide::cancellation) compares this with other combinators.
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

    /// Moves new children to the pool. Returns whether there were any.
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
