//! SQLite itself on the VFS.

mod connections;
mod faults;
mod power;
mod workload;
