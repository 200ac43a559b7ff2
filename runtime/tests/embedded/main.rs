//! Workers and clients on an engine in this process.

mod activities;
mod files;
mod hooks;
mod mistakes;
mod shop;
#[cfg(feature = "tls")]
mod tls;
