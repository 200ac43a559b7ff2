//! Collects every mistake of an item, so that a user sees all of them at once.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::thread;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::Error;

/// The mistakes found so far. Dropping it unread is a bug of this crate and panics.
pub(crate) struct Errors {
    found: RefCell<Option<Vec<Error>>>,
    /// How many of them leave nothing to generate.
    fatal: Cell<usize>,
}

impl Errors {
    pub(crate) fn new() -> Self {
        Self { found: RefCell::new(Some(Vec::new())), fatal: Cell::new(0) }
    }

    /// A mistake in these tokens, which the message is shown at. Nothing can be generated.
    pub(crate) fn at(&self, tokens: impl ToTokens, message: impl Display) {
        self.fatal.set(self.fatal.get() + 1);
        self.minor(tokens, message);
    }

    /// A mistake that leaves a program that makes sense: code is generated all the same, so that it stays the only error.
    pub(crate) fn minor(&self, tokens: impl ToTokens, message: impl Display) {
        self.push(Error::new_spanned(tokens, message));
    }

    /// The same at one place.
    pub(crate) fn minor_at(&self, span: Span, message: impl Display) {
        self.push(Error::new(span, message));
    }

    /// A mistake that someone else has put into words.
    pub(crate) fn push(&self, error: Error) {
        self.found.borrow_mut().as_mut().expect("only `into_tokens` takes the list, and it consumes").push(error);
    }

    /// How many mistakes leave nothing to generate.
    pub(crate) fn fatal(&self) -> usize {
        self.fatal.get()
    }

    /// `compile_error!` for each mistake.
    pub(crate) fn into_tokens(self) -> TokenStream {
        let found = self.found.borrow_mut().take().unwrap_or_default();
        found.iter().map(Error::to_compile_error).collect()
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        if !thread::panicking() && self.found.borrow().is_some() {
            panic!("mistakes were collected but never reported");
        }
    }
}
