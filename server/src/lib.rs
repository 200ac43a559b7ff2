//! Everloop's engine: durable workflows behind the Temporal protocol, in process or over gRPC.

mod api;
mod clock;
mod engine;
mod grpc;
mod limits;
mod matching;
mod model;
mod namespaces;
mod service;
mod status;
mod stop;
mod store;
mod unheard;
mod visibility;

pub use clock::{ClockMode, UnbalancedUnlock};
#[cfg(feature = "listen")]
pub use grpc::{ListenError, Listening};
pub use grpc::{Operator, TestTime};
pub use service::builder::EngineBuilder;
pub use service::calls::call::LetsTimeJump;
pub use service::calls::workflow::Workflows;
pub use service::error::EngineError;
pub use service::host::{Awake, Engine, Jumping, Settled, Step, Stepper};
#[doc(hidden)]
pub use store::CommitStep;
pub use store::{BackupError, backup};
#[doc(hidden)]
pub use store::{PathError, database_path};
