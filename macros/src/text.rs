//! Formats tokens as a person would write them, for documentation.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// Formats `Option<Purchase>` where `TokenStream` prints `Option < Purchase >`.
pub(crate) fn readable(tokens: TokenStream) -> String {
    let mut text = String::new();
    write(tokens, &mut text);
    text
}

fn write(tokens: TokenStream, text: &mut String) {
    let mut after_word = false;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let word = matches!(token, TokenTree::Ident(_) | TokenTree::Literal(_));
        if word && after_word {
            text.push(' ');
        }
        after_word = word;
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => (" { ", " }"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(group.stream(), text);
                text.push_str(close);
            }
            TokenTree::Punct(punct) => {
                let joint = punct.spacing() == Spacing::Joint;
                let next = match tokens.peek() {
                    Some(TokenTree::Punct(next)) if joint => Some(next.as_char()),
                    _ => None,
                };
                match (punct.as_char(), next) {
                    ('-', Some('>')) => {
                        tokens.next();
                        text.push_str(" -> ");
                    }
                    (':', Some(':')) => {
                        tokens.next();
                        text.push_str("::");
                    }
                    (sign @ (',' | ':' | ';'), _) => {
                        text.push(sign);
                        // A tuple of one keeps its comma.
                        text.push_str(if tokens.peek().is_some() { " " } else { "" });
                    }
                    (sign @ ('+' | '='), _) => {
                        text.push(' ');
                        text.push(sign);
                        text.push(' ');
                    }
                    (sign, _) => text.push(sign),
                }
            }
            TokenTree::Ident(ident) => text.push_str(&ident.to_string()),
            TokenTree::Literal(literal) => text.push_str(&literal.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    #[test]
    fn signatures_read_as_written() {
        let cases = [
            (
                quote!(fn a(&self, x: Option<Vec<u8>>, y: (u8,)) -> std::result::Result<(), E>),
                "fn a(&self, x: Option<Vec<u8>>, y: (u8,)) -> std::result::Result<(), E>",
            ),
            (quote!(fn b(&self) -> Box<dyn Send + 'static>), "fn b(&self) -> Box<dyn Send + 'static>"),
            (quote!(async fn c(&self, x: [u8; 4], y: fn(u8) -> u8)), "async fn c(&self, x: [u8; 4], y: fn(u8) -> u8)"),
        ];
        for (tokens, text) in cases {
            assert_eq!(super::readable(tokens), text);
        }
    }
}
