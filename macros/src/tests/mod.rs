//! Expansions as text, and every mistake at once. What the compiler makes of them is tested by `ui-tests`.

mod expansions;
mod mistakes;

use proc_macro2::{TokenStream, TokenTree};

/// The expansion as rustfmt might print it. Accept changes with `UPDATE_EXPECT=1`.
fn printed(expansion: TokenStream) -> String {
    let text = expansion.to_string();
    prettyplease::unparse(&syn::parse2(expansion).unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// The messages in an expansion, in order.
fn messages(expansion: TokenStream) -> Vec<String> {
    let mut messages = Vec::new();
    let mut follows = false;
    for token in expansion {
        match token {
            TokenTree::Ident(name) if name == "compile_error" => follows = true,
            TokenTree::Group(group) if follows => {
                messages.extend(syn::parse2::<syn::LitStr>(group.stream()).map(|text| text.value()));
                follows = false;
            }
            TokenTree::Group(group) => messages.extend(self::messages(group.stream())),
            _ => {}
        }
    }
    messages
}
