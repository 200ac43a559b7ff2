//! `#[workflow]` on the struct that is a workflow's state and on the impl block that is its code.

mod check;
mod generate;
mod handle;
mod parse;
mod state;

#[cfg(test)]
pub(crate) use check::RESERVED;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::Item;

use crate::assignments;
use crate::determinism;
use crate::diagnostics::Errors;
use crate::impl_block::{self, ImplBlock};
use crate::options::Options;

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let errors = Errors::new();
    let options = Options::parse(options, &errors);
    let output = match impl_block::is_impl(&item) {
        true => expand_impl(options, item, &errors),
        false => expand_struct(options, item, &errors),
    };
    let errors = errors.into_tokens();
    quote!(#output #errors)
}

fn expand_impl(options: Options<'_>, item: TokenStream, errors: &Errors) -> TokenStream {
    let block = match ImplBlock::parse(item.clone()) {
        Ok(block) => block,
        Err(error) => {
            errors.push(error);
            return item;
        }
    };
    let mut written = parse::parse(options, block, errors);
    assignments::refuse(&mut written.block, errors);
    determinism::lint(&mut written.block, &written.root, errors);
    match check::check(&written, errors) {
        Some(workflow) => generate::generate(&workflow),
        None => written.block.into_token_stream(),
    }
}

/// The struct; any other item is a mistake.
fn expand_struct(options: Options<'_>, item: TokenStream, errors: &Errors) -> TokenStream {
    let written = match syn::parse2::<Item>(item.clone()) {
        Ok(written) => written,
        Err(error) => {
            errors.push(error);
            return item;
        }
    };
    let message = match &written {
        Item::Struct(_) => None,
        Item::Trait(_) => Some(
            "`#[workflow]` on a trait is not supported yet; to start a workflow whose code is elsewhere, use an untyped call",
        ),
        Item::Enum(_) | Item::Union(_) => {
            Some("a workflow's state is a struct; hold this in one of its fields: `state: State<..>`")
        }
        _ => Some("`#[workflow]` stands on a struct and on its `impl` block, the one with `#[run]`"),
    };
    if let Some(message) = message {
        errors.at(keyword(&written), message);
    }
    match state::check(options, &written, errors) {
        Some(state) => state::generate(&state),
        None => item,
    }
}

/// The tokens of the kind and name of an item, for a message that fits on a line.
fn keyword(item: &Item) -> TokenStream {
    match item {
        Item::Trait(item) => item.ident.to_token_stream(),
        Item::Enum(item) => item.enum_token.to_token_stream(),
        Item::Union(item) => item.union_token.to_token_stream(),
        Item::Fn(item) => item.sig.fn_token.to_token_stream(),
        Item::Mod(item) => item.mod_token.to_token_stream(),
        other => other.to_token_stream(),
    }
}
