//! Everything that gRPC adds to the engine's services: the small services around them, and a socket.
//!
//! In process nothing here is needed: there the generated client calls the generated server directly.

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
