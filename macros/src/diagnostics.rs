//! Collects every mistake of an item, so that a user sees all of them at once.
//!
//! A mistake should stay one error even in a program that uses the item. So stubs are generated for everything that callers name,
//! and a type that is unknown because of a mistake becomes [`Errors::unknown_type`].

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::thread;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Error, Path};

/// The mistakes found so far. Dropping it unread is a bug of this crate and panics.
pub(crate) struct Errors {
    found: RefCell<Option<Vec<Error>>>,
    /// Number of fatal mistakes: the item cannot be generated as intended.
    fatal: Cell<usize>,
    /// The first fatal mistake.
    first_fatal: RefCell<Option<Error>>,
}

impl Errors {
    pub(crate) fn new() -> Self {
        Self { found: RefCell::new(Some(Vec::new())), fatal: Cell::new(0), first_fatal: RefCell::new(None) }
    }

    /// Adds a fatal mistake, reported at these tokens.
    pub(crate) fn at(&self, tokens: impl ToTokens, message: impl Display) {
        self.fatal(Error::new_spanned(tokens, message));
    }

    /// Adds a fatal mistake with its message.
    pub(crate) fn fatal(&self, error: Error) {
        self.fatal.set(self.fatal.get() + 1);
        self.first_fatal.borrow_mut().get_or_insert_with(|| error.clone());
        self.push(error);
    }

    /// Adds a mistake that is not fatal: code is still generated, so that it stays the only error.
    pub(crate) fn minor(&self, tokens: impl ToTokens, message: impl Display) {
        self.push(Error::new_spanned(tokens, message));
    }

    /// The same at one span.
    pub(crate) fn minor_at(&self, span: Span, message: impl Display) {
        self.push(Error::new(span, message));
    }

    /// A mistake that another parser has worded.
    pub(crate) fn push(&self, error: Error) {
        self.found.borrow_mut().as_mut().expect("only `into_tokens` takes the list, and it consumes").push(error);
    }

    /// The same, if there is one.
    pub(crate) fn fatal_if(&self, error: Option<&Error>) {
        if let Some(error) = error {
            self.fatal(error.clone());
        }
    }

    /// Number of fatal mistakes.
    pub(crate) fn count_fatal(&self) -> usize {
        self.fatal.get()
    }

    /// Returns the first fatal mistake as a type. No use of the type is an error, because the compiler does not report consequences
    /// of another error; and it prints equal messages at one span once.
    pub(crate) fn unknown_type(&self, root: &Path) -> Option<TokenStream> {
        let error = self.first_fatal.borrow().as_ref()?.to_compile_error();
        Some(quote!(#root::__private::ReturnsOf<(), { #error }>))
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
