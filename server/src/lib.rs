//! Everloop's engine: durable workflows behind the Temporal protocol, in process or over gRPC.

#[allow(dead_code, unused_imports, reason = "the engine that calls it comes next")]
mod grpc;
#[allow(dead_code, unused_imports, reason = "the engine that calls it comes next")]
mod namespaces;
#[allow(dead_code, unused_imports, reason = "the engine that calls it comes next")]
mod status;
#[allow(dead_code, unused_imports, reason = "the engine that calls it comes next")]
mod store;
#[allow(dead_code, unused_imports, reason = "the engine that calls it comes next")]
mod visibility;

pub use grpc::{HealthService, Operator};
#[cfg(feature = "listen")]
pub use grpc::{ListenError, Listening};
