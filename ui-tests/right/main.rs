//! Programs that must compile without a warning.
#![deny(warnings)]
// Most items of these programs are compiled, and not called.
#![allow(dead_code, reason = "the types are the test")]
#![allow(unreachable_pub, reason = "a test's items are reachable from nowhere")]

mod advice;
mod documentation;
mod macros_of_others;
mod names;
mod own_words;
mod returned;
mod shapes;
mod sharing;
mod visibility;
