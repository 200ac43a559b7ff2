//! The attribute macros of `everloop`, and its one derive. Users meet them as `everloop::workflow`, `everloop::activity` and so on, where they
//! are documented; this crate is an implementation detail.
//!
//! Each macro parses, checks and generates, and reports every mistake it finds.

mod activity;
mod assignments;
mod attributes;
mod determinism;
mod diagnostics;
mod failure;
mod impl_block;
mod misplaced;
mod options;
mod root;
mod signature;
mod text;
mod workflow;

#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

// The documentation of each is where `everloop` re-exports it: its examples compile there.

#[proc_macro_attribute]
pub fn workflow(options: TokenStream, item: TokenStream) -> TokenStream {
    workflow::expand(options.into(), item.into()).into()
}

#[proc_macro_attribute]
pub fn activity(options: TokenStream, item: TokenStream) -> TokenStream {
    activity::expand_function(options.into(), item.into()).into()
}

#[proc_macro_attribute]
pub fn activities(options: TokenStream, item: TokenStream) -> TokenStream {
    activity::expand_block(options.into(), item.into()).into()
}

#[proc_macro_derive(ActivityFailure, attributes(failure))]
pub fn activity_failure(item: TokenStream) -> TokenStream {
    failure::expand(item.into()).into()
}

macro_rules! helpers {
    ($($name:ident)*) => {$(
        #[proc_macro_attribute]
        pub fn $name(_options: TokenStream, item: TokenStream) -> TokenStream {
            misplaced::expand(stringify!($name), item.into()).into()
        }
    )*};
}
helpers! { run init signal query update allow_nondeterminism }
