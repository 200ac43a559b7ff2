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

use crate::diagnostics::Errors;
use crate::options::Options;

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let errors = Errors::new();
    let options = Options::parse(options, &errors);
    let output = match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Struct(item)) => state::check(options, &item, &errors).map_or_else(
            || item.to_token_stream(), // one mistake stays one error
            |state| state::generate(&state),
        ),
        Ok(Item::Impl(item)) => {
            let written = parse::parse(options, item, &errors);
            match check::check(&written, &errors) {
                Some(workflow) => generate::generate(&workflow),
                None => parse::untouched(&written),
            }
        }
        other => {
            let message = match &other {
                Ok(Item::Trait(_)) => {
                    "`#[workflow]` on a trait is not supported yet; to start a workflow whose code is elsewhere, use an untyped call"
                }
                Ok(Item::Enum(_) | Item::Union(_)) => {
                    "a workflow's state is a struct; hold this in one of its fields: `state: State<..>`"
                }
                _ => "`#[workflow]` stands on a struct and on its `impl` block, the one with `#[run]`",
            };
            match other {
                Ok(item) => errors.at(keyword(&item), message),
                Err(error) => errors.push(error),
            }
            options.finish("#[workflow]", &["name", "crate"]);
            item
        }
    };
    let errors = errors.into_tokens();
    quote!(#output #errors)
}

/// The tokens that say what an item is, for a message that fits on a line.
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
