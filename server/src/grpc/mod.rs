//! The gRPC parts around the engine's services: health, operator and test services, and the socket.
//!
//! In process none of them is needed: the generated client calls the generated server directly.

#[cfg(feature = "listen")]
mod health;
#[cfg(feature = "listen")]
mod listen;
mod operator;
#[cfg(feature = "listen")]
mod services;
mod time;

#[cfg(feature = "listen")]
pub use listen::{ListenError, Listening};
pub use operator::Operator;
pub use time::TestTime;
