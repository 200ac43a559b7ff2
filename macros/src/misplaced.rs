//! A helper attribute that no `#[workflow] impl` took: an error that names the place where it belongs, never a silent no-op.

use proc_macro2::{Span, TokenStream};

use crate::diagnostics::Errors;

pub(crate) fn expand(name: &str, item: TokenStream) -> TokenStream {
    let place = match name {
        "run" => "on the `async fn` that is the workflow, inside a `#[workflow] impl` block",
        "init" => "on a function that makes the workflow, `fn new(..) -> Self`, inside a `#[workflow] impl` block",
        "allow_nondeterminism" => "on a method inside a `#[workflow] impl` block, or on a statement of one",
        _ => "on a method inside a `#[workflow] impl` block",
    };
    let errors = Errors::new();
    errors.minor_at(Span::call_site(), format!("`#[{name}]` stands {place}; is `#[workflow]` missing on the `impl`?"));
    let errors = errors.into_tokens();
    quote::quote!(#item #errors)
}
