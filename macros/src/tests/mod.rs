//! Expansions as text, and every mistake at once. `ui-tests` checks the compiler's output for them.

mod expansions;
mod mistakes;
mod unfinished;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The expansion as rustfmt might print it. Accept changes with `UPDATE_EXPECT=1`.
fn printed(expansion: TokenStream) -> String {
    let text = expansion.to_string();
    prettyplease::unparse(&syn::parse2(expansion).unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// Returns the messages in an expansion, in order, except those in `ReturnsOf<(), { .. }>`, a type that repeats the first fatal
/// one.
fn messages(expansion: TokenStream) -> Vec<String> {
    let mut messages = Vec::new();
    let (mut follows, mut in_type) = (false, false);
    for token in expansion {
        match token {
            TokenTree::Ident(name) if name == "compile_error" => follows = true,
            TokenTree::Group(group) if follows => {
                messages.extend(syn::parse2::<syn::LitStr>(group.stream()).map(|text| text.value()));
                follows = false;
            }
            TokenTree::Ident(name) if name == "ReturnsOf" => in_type = true,
            TokenTree::Group(group) if in_type && group.delimiter() == Delimiter::Brace => in_type = false,
            TokenTree::Group(group) => messages.extend(self::messages(group.stream())),
            _ => {}
        }
    }
    messages
}
