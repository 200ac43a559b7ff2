//! Everloop's engine: durable workflows behind the Temporal protocol, in process or over gRPC.

#[expect(dead_code, reason = "the engine that calls it comes next")]
mod store;
#[expect(dead_code, reason = "the engine that calls it comes next")]
mod visibility;
