//! Collects every mistake of an item, so that a user sees all of them at once.
//!
//! A mistake should stay one error also in a program that uses the item. So stubs are generated for everything that callers name, and a
//! type that a mistake leaves unknown becomes [`Errors::unknown_type`].

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::thread;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Error, Path};

/// The mistakes found so far. Dropping it unread is a bug of this crate and panics.
pub(crate) struct Errors {
    found: RefCell<Option<Vec<Error>>>,
    /// How many of them leave something that cannot be generated.
    fatal: Cell<usize>,
    /// The first of these.
    first_fatal: RefCell<Option<Error>>,
}

impl Errors {
    pub(crate) fn new() -> Self {
        Self { found: RefCell::new(Some(Vec::new())), fatal: Cell::new(0), first_fatal: RefCell::new(None) }
    }

    /// A mistake in these tokens, which the message is shown at. What they stand in cannot be generated as it is meant.
    pub(crate) fn at(&self, tokens: impl ToTokens, message: impl Display) {
        self.fatal(Error::new_spanned(tokens, message));
    }

    /// The same, already put into words.
    pub(crate) fn fatal(&self, error: Error) {
        self.fatal.set(self.fatal.get() + 1);
        self.first_fatal.borrow_mut().get_or_insert_with(|| error.clone());
        self.push(error);
    }

    /// A mistake that leaves a program that makes sense: code is generated all the same, so that it stays the only error.
    pub(crate) fn minor(&self, tokens: impl ToTokens, message: impl Display) {
        self.push(Error::new_spanned(tokens, message));
    }

    /// The same at one place.
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

    /// How many mistakes leave something that cannot be generated.
    pub(crate) fn count_fatal(&self) -> usize {
        self.fatal.get()
    }

    /// The first fatal mistake as a type. No use of it is an error, because the compiler does not report what follows from another
    /// error; and it prints equal messages of one place once.
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
