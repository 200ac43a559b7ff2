//! `#[activity]` on functions and definitions, `#[activities]` on impl blocks.

mod block;
mod check;
mod function;
mod generate;
mod options;

pub(crate) use block::check_impl;

use proc_macro2::TokenStream;
use quote::quote;

use crate::diagnostics::Errors;

/// `#[activity]`.
pub(crate) fn expand_function(options: TokenStream, item: TokenStream) -> TokenStream {
    let errors = Errors::new();
    let output = function::parse(options, item.clone(), &errors)
        .and_then(|written| function::check(written, &errors))
        .map_or(item, |activity| function::generate(&activity));
    let errors = errors.into_tokens();
    quote!(#output #errors)
}

/// `#[activities]`.
pub(crate) fn expand_block(options: TokenStream, item: TokenStream) -> TokenStream {
    let errors = Errors::new();
    let output = match block::parse(options, item.clone(), &errors) {
        Some(written) => match block::check(&written, &errors) {
            Some(block) => block::generate(&block),
            None => block::untouched(&written),
        },
        None => item,
    };
    let errors = errors.into_tokens();
    quote!(#output #errors)
}
