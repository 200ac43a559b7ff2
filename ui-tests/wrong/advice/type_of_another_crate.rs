// Inputs of types of other crates that are not serialized.
use everloop::prelude::*;
use std::sync::Arc;
use std::time::Instant;

#[activity]
pub async fn wait(until: Instant) -> ActivityResult<()> {
    drop(until);
    Ok(())
}

#[activity]
pub async fn share(name: Arc<String>) -> ActivityResult<[u8; 64]> {
    drop(name);
    Ok([0; 64])
}

fn main() {}
