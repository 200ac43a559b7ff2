//! Errors of activities that their callers match by variant.

use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::ops::Deref;
use std::time::Duration;

use crate::data::{Arguments, DecodeError, EncodeError, ErrorCategory, Failure, FailureKind};
use crate::errors::{ActivityError, ActivityFailure};
use crate::raw;

/// An error whose variants an activity's caller can match: an enum with
/// [`#[derive(ActivityFailure)]`](macro@crate::ActivityFailure).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not travel from an activity to its caller",
    label = "callers cannot match its variants",
    note = "derive it on an enum: `#[derive(Debug, ActivityFailure)] enum {Self} {{ .. }}`"
)]
pub trait TypedFailure: Debug + Send + Sized + 'static {
    #[doc(hidden)]
    fn into_parts(self) -> FailureParts;
    /// Decodes a variant; `None` if there is no such variant.
    #[doc(hidden)]
    fn from_parts(variant: &str, details: &[raw::Payload]) -> Option<Result<Self, DecodeError>>;
}

/// The wire form of a typed failure.
pub struct FailureParts {
    /// The failure's type.
    pub variant: &'static str,
    /// The text of the error.
    pub message: String,
    /// Whether the failure is final.
    pub non_retryable: bool,
    /// The delay before the next attempt, in place of the retry policy's interval.
    pub next_retry_delay: Option<Duration>,
    /// The category, which affects only how the error is reported.
    pub category: ErrorCategory,
    /// The fields, in order.
    pub details: Result<Vec<raw::Payload>, EncodeError>,
}

impl FailureParts {
    /// Encodes `fields` with `codecs`.
    pub fn new<Fields>(
        variant: &'static str,
        message: String,
        non_retryable: bool,
        codecs: &dyn Arguments<Fields>,
        fields: &Fields,
    ) -> Self {
        let details = codecs.encode(fields);
        Self { variant, message, non_retryable, next_retry_delay: None, category: ErrorCategory::Unspecified, details }
    }

    /// Sets the delay before the next attempt.
    pub fn next_retry_delay(self, delay: Duration) -> Self {
        Self { next_retry_delay: Some(delay), ..self }
    }

    /// Marks the failure as an expected outcome.
    pub fn benign(self) -> Self {
        Self { category: ErrorCategory::Benign, ..self }
    }
}

/// The text of an error: of `Display`, otherwise of `Debug`. If both exist, the trait of the reference takes precedence.
pub struct Said<'a, E>(pub &'a E);

/// The text of an error that has `Display`.
pub trait SaidByDisplay {
    /// The text.
    fn said(&self) -> String;
}
impl<E: Display> SaidByDisplay for &Said<'_, E> {
    fn said(&self) -> String {
        self.0.to_string()
    }
}

/// The text of an error that has only `Debug`.
pub trait SaidByDebug {
    /// The text.
    fn said(&self) -> String;
}
// The bound is `TypedFailure`, which requires `Debug`, so that a missing `Debug` is reported once.
impl<E: TypedFailure> SaidByDebug for Said<'_, E> {
    fn said(&self) -> String {
        format!("{:?}", self.0)
    }
}

impl ActivityError {
    /// Converts an error that callers can match by variant, in an activity that returns [`ActivityResult`](crate::ActivityResult)
    /// because it has other errors as well. The caller reads the variant with [`Failure::typed`].
    ///
    /// An activity that returns the enum itself does not need this function.
    pub fn typed<E: TypedFailure>(error: E) -> Self {
        let FailureParts { variant, message, non_retryable, next_retry_delay, category, details } = error.into_parts();
        match details {
            Ok(details) => Self::from_failure(Failure::new(
                message,
                FailureKind::Application {
                    type_name: variant.to_owned(),
                    non_retryable,
                    details: details.into(),
                    next_retry_delay,
                    category,
                },
            )),
            // The next attempt would most likely fail the same way.
            Err(error) => {
                let error = error.of(format!("the fields of the error `{variant}` ({message})"));
                Self::non_retryable(error.to_string()).type_name("EncodeError")
            }
        }
    }
}

impl Failure {
    /// Decodes the error of an activity, if the first application failure of the chain is one of its variants.
    ///
    /// A workflow that awaits such an activity receives the decoded error: see [`CallError`].
    pub fn typed<E: TypedFailure>(&self) -> Option<E> {
        let (variant, details) = self.chain().find_map(|failure| match &failure.kind {
            FailureKind::Application { type_name, details, .. } => Some((type_name, details)),
            _ => None,
        })?;
        match E::from_parts(variant, details.as_raw())? {
            Ok(error) => Some(error),
            Err(problem) => {
                let wanted = std::any::type_name::<E>();
                tracing::warn!(%variant, wanted, "the fields of an error do not fit its variant here: {problem}");
                None
            }
        }
    }
}

/// The error of calling an activity that returns its own error type. It has all methods of [`ActivityFailure`].
///
/// ```
/// use everloop::{CallError, prelude::*};
///
/// #[derive(Debug, ActivityFailure)]
/// enum ChargeError {
///     /// A permanent failure.
///     #[failure(non_retryable)]
///     Declined { code: u32 },
///     Busy,
/// }
///
/// #[activity]
/// async fn charge(amount: u32) -> Result<String, ChargeError> {
///     Err(ChargeError::Declined { code: 51 })
/// }
///
/// #[workflow]
/// #[derive(Default)]
/// struct Order {}
///
/// #[workflow]
/// impl Order {
///     #[run]
///     async fn run(&self, amount: u32) -> WorkflowResult<String> {
///         match charge(amount).await {
///             Ok(receipt) => Ok(receipt),
///             Err(CallError::Failed(ChargeError::Declined { code }, _)) => Ok(format!("no receipt: {code}")),
///             Err(other) => Err(other.into()), // Busy for too long, a timeout, a cancellation
///         }
///     }
/// }
/// ```
pub enum CallError<E> {
    /// The activity returned this error, and there is no further attempt. The second field is the failure with all its data.
    Failed(E, ActivityFailure),
    /// Another failure: a time limit passed, the activity was cancelled, it panicked, or its error is none of the variants.
    Other(ActivityFailure),
}

impl<E> CallError<E> {
    /// The activity's own error, if there is one.
    pub fn failed(&self) -> Option<&E> {
        match self {
            Self::Failed(error, _) => Some(error),
            Self::Other(_) => None,
        }
    }

    /// The failure, in both cases.
    pub fn into_activity_failure(self) -> ActivityFailure {
        match self {
            Self::Failed(_, failure) | Self::Other(failure) => failure,
        }
    }
}

impl<E: TypedFailure> From<ActivityFailure> for CallError<E> {
    fn from(failure: ActivityFailure) -> Self {
        // The direct cause of an activity's failure is the error that the activity returned; deeper causes are other errors.
        let is_its_own = failure.cause().is_some_and(|cause| matches!(cause.kind, FailureKind::Application { .. }));
        match failure.failure().typed().filter(|_| is_its_own) {
            Some(error) => Self::Failed(error, failure),
            None => Self::Other(failure),
        }
    }
}

impl<E> Deref for CallError<E> {
    type Target = ActivityFailure;

    fn deref(&self) -> &ActivityFailure {
        match self {
            Self::Failed(_, failure) | Self::Other(failure) => failure,
        }
    }
}

impl<E> Debug for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(&**self, f)
    }
}

impl<E> Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&**self, f)
    }
}

impl<E> Error for CallError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.whole())
    }
}

/// The error of a call. Its type determines the error that the activity's function returns, also in tests.
pub trait CallErrorType: From<ActivityFailure> + Error + 'static {
    /// The error that the activity returns: [`ActivityError`], or its own enum.
    type Returned: Send + 'static;
    #[doc(hidden)]
    fn send(returned: Self::Returned) -> ActivityError;
    /// # Panics
    /// If the error is not one of the activity's own, for example because its fields cannot be encoded.
    #[doc(hidden)]
    fn receive(sent: ActivityError) -> Self::Returned;
}

impl CallErrorType for ActivityFailure {
    type Returned = ActivityError;

    fn send(returned: ActivityError) -> ActivityError {
        returned
    }

    fn receive(sent: ActivityError) -> ActivityError {
        sent
    }
}

impl<E: TypedFailure> CallErrorType for CallError<E> {
    type Returned = E;

    fn send(returned: E) -> ActivityError {
        ActivityError::typed(returned)
    }

    fn receive(sent: ActivityError) -> E {
        sent.failure().typed().unwrap_or_else(|| panic!("callers cannot read the activity's error: {sent}"))
    }
}

/// The error that the caller of an activity receives if the activity returns `Self`.
pub trait Fails<const TYPED: bool> {
    type CallError;
}
impl<R> Fails<false> for R {
    type CallError = ActivityFailure;
}
impl<T, E: TypedFailure> Fails<true> for Result<T, E> {
    type CallError = CallError<E>;
}

/// The error of a call whose activity returns `R`.
pub type CallErrorOf<R, const TYPED: bool> = <R as Fails<TYPED>>::CallError;
