//! Parts that the examples share: a shop to buy from, and a way to stop.

use std::error::Error as StdError;
use std::future::Future;

pub mod shop;

/// Any error that ends an example early.
pub type Error = Box<dyn StdError + Send + Sync>;

/// Runs an example to its end, or until ctrl-c.
///
/// # Errors
/// The example's own error, or an error about the interruption.
pub async fn until_ctrl_c(story: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    tokio::select! {
        ended = story => ended,
        pressed = tokio::signal::ctrl_c() => match pressed {
            Ok(()) => Err("stopped by ctrl-c".into()),
            Err(error) => Err(error.into()),
        },
    }
}
