//! Everything that gRPC adds to the engine's services: the small services around them, and a socket.
//!
//! In process nothing here is needed: there the generated client calls the generated server directly.

mod health;
#[cfg(feature = "listen")]
mod listen;
mod operator;
#[cfg(feature = "listen")]
mod services;

pub use health::HealthService;
#[cfg(feature = "listen")]
pub use listen::{ListenError, Listening};
#[cfg(feature = "listen")]
pub(crate) use listen::{Reach, listen};
pub use operator::Operator;
#[cfg(feature = "listen")]
pub(crate) use services::Services;
