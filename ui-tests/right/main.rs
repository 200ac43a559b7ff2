//! Programs that must compile without a warning.
#![deny(warnings)]

fn main() {}
