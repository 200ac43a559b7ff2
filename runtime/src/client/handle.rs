//! Handles: one run, reached by id.

use std::marker::PhantomData;

/// Where a handle's workflow is reached from.
pub trait Target: Clone + 'static {}

/// From a client.
#[derive(Clone)]
pub struct Client {}
impl Target for Client {}

/// Not started yet: what is called travels with the start request.
#[derive(Clone)]
pub struct WithStart(pub(crate) ());
impl Target for WithStart {}

/// The `W` of a handle that knows no workflow type: its calls go by name.
pub struct Untyped;

/// Reaches one run by id. No bound on `W`, so that a struct whose `#[workflow] impl` is missing is not one error for
/// each mention of its handle.
pub struct WorkflowHandle<W = Untyped, T = Client> {
    pub(crate) target: T,
    pub(crate) workflow_id: String,
    pub(crate) workflow: PhantomData<fn() -> W>,
}
