//! Chapters that are longer than the documentation of one item.

#[doc = include_str!("cancellation.md")]
pub mod cancellation {}
