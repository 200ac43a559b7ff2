//! The error of interceptors.

/// An interceptor of the client refused a call, for the reason given.
#[derive(Clone, thiserror::Error)]
#[error("an interceptor of the client refused the call: {0}")]
pub struct InterceptorError(pub String);

debug_as_display!(InterceptorError);
