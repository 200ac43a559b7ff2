//! What an activity knows of itself while it runs.

/// The context of a running activity.
#[derive(Clone)]
pub struct ActivityContext {}

/// A parameter that is a reference.
#[diagnostic::on_unimplemented(
    message = "`&{Self}` cannot be an input",
    label = "expected `&ActivityContext` or an owned type",
    note = "inputs are owned (`String`, not `&str`); the only reference an activity takes is its context"
)]
pub trait Context {
    fn context(context: &ActivityContext) -> &Self;
}
impl Context for ActivityContext {
    fn context(context: &ActivityContext) -> &Self {
        context
    }
}
