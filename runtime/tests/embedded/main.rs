//! Workers and clients on an engine in this process.

mod activities;
mod away;
mod files;
mod hooks;
mod logs;
mod mistakes;
mod serving;
mod shop;
mod shutdown;
mod sizes;
#[cfg(feature = "tls")]
mod tls;
mod unsent;
