//! The options in the parentheses of an attribute: `name = "x", retry_policy(maximum_attempts = 5)`.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, Ident, Lit, LitStr, Meta, Path, Token, parenthesized, token};

use crate::diagnostics::Errors;

/// One option as written.
struct Given {
    key: Ident,
    value: Value,
}

enum Value {
    /// `key`
    Nothing,
    /// `key = value`
    Is(Expr),
    /// `key(..)`
    List(TokenStream),
}

impl Parse for Given {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = Ident::parse_any(input)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Value::Is(bare(input.parse()?))
        } else if input.peek(token::Paren) {
            let content;
            parenthesized!(content in input);
            Value::List(content.parse()?)
        } else {
            Value::Nothing
        };
        Ok(Self { key, value })
    }
}

/// A duration with the text it was read from, for messages.
#[derive(Clone)]
pub(crate) struct WrittenDuration {
    pub(crate) value: Duration,
    pub(crate) text: LitStr,
}

impl WrittenDuration {
    /// The duration as an expression.
    pub(crate) fn tokens(&self, private: &TokenStream) -> TokenStream {
        let (seconds, nanoseconds) = (self.value.as_secs(), self.value.subsec_nanos());
        quote!(#private::Duration::new(#seconds, #nanoseconds))
    }
}

/// Returns the value itself if it is a macro's fragment, as in `name = $name` with `$name:literal`: such a fragment is in an
/// invisible group.
fn bare(mut value: Expr) -> Expr {
    while let Expr::Group(group) = value {
        value = *group.expr;
    }
    value
}

/// The options of one attribute. Each is taken once, by key; options left at the end are rejected.
pub(crate) struct Options<'a> {
    given: Vec<Given>,
    errors: &'a Errors,
}

impl<'a> Options<'a> {
    pub(crate) fn parse(tokens: TokenStream, errors: &'a Errors) -> Self {
        let list = Punctuated::<Given, Token![,]>::parse_terminated.parse2(tokens);
        let given = list.map(|list| list.into_iter().collect()).unwrap_or_else(|error| {
            errors.push(error);
            Vec::new()
        });
        Self { given, errors }
    }

    /// The options of a helper attribute such as `#[signal(name = "x")]`.
    pub(crate) fn of(attribute: &Attribute, errors: &'a Errors) -> Self {
        match &attribute.meta {
            Meta::Path(_) => Self { given: Vec::new(), errors },
            Meta::List(list) => Self::parse(list.tokens.clone(), errors),
            Meta::NameValue(pair) => {
                let name = pair.path.to_token_stream();
                errors.minor(pair, format!("options stand in parentheses: `#[{name}(name = \"..\")]`"));
                Self { given: Vec::new(), errors }
            }
        }
    }

    fn take(&mut self, key: &str) -> Option<Given> {
        let index = self.given.iter().position(|given| given.key == key)?;
        let first = self.given.remove(index);
        self.given.retain(|other| {
            if other.key == key {
                self.errors.minor(&other.key, format!("`{key}` is given twice; remove one"));
            }
            other.key != key
        });
        Some(first)
    }

    fn value(&mut self, key: &str, example: &str) -> Option<Expr> {
        let given = self.take(key)?;
        match given.value {
            Value::Is(value) => Some(value),
            Value::Nothing | Value::List(_) => {
                self.errors.minor(&given.key, format!("`{key}` needs a value: `{key} = {example}`"));
                None
            }
        }
    }

    /// `key = "text"`.
    fn text(&mut self, key: &str, example: &str) -> Option<LitStr> {
        let value = self.value(key, example)?;
        let text = literal_text(&value).cloned();
        if text.is_none() {
            self.errors.minor(&value, format!("`{key}` is a string: `{key} = {example}`"));
        }
        text
    }

    /// `name = "text"`: the item's name on the wire.
    pub(crate) fn name(&mut self) -> Option<LitStr> {
        let name = self.text("name", "\"charge\"")?;
        match name.value() {
            text if text.is_empty() => {
                self.errors.minor(&name, "a name has at least one character; leave it out for the item's own")
            }
            text if text.starts_with("__temporal_") => {
                self.errors.minor(&name, "names that start with `__temporal_` belong to the protocol; choose another");
            }
            _ => return Some(name),
        }
        None
    }

    /// `key = "1h 30m"`, above zero.
    pub(crate) fn duration(&mut self, key: &str) -> Option<WrittenDuration> {
        let text = self.text(key, "\"1m\"")?;
        match humantime::parse_duration(text.value().trim()) {
            Ok(Duration::ZERO) => {
                self.errors.minor(&text, format!("`{key}` is longer than zero; leave it out for none"))
            }
            Ok(value) => return Some(WrittenDuration { value, text }),
            Err(problem) => self
                .errors
                .minor(&text, format!("not a duration ({problem}); write for example \"10s\", \"250ms\", \"1h 30m\"")),
        }
        None
    }

    /// `key = a_word`, one of a list.
    pub(crate) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        self.word_at(key, words).map(|(meaning, _)| meaning)
    }

    /// `key = a_word`, one of a list, and where it stands.
    pub(crate) fn word_at<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<(T, Span)> {
        let value = self.value(key, words[0].0)?;
        let written = match &value {
            Expr::Path(path) => path.path.get_ident(),
            _ => None,
        };
        let found = written.and_then(|written| words.iter().find(|(word, _)| written == word));
        if found.is_none() {
            let words = listed(words.iter().map(|(word, _)| *word), "or");
            self.errors.minor(&value, format!("expected {words}, as in `{key} = {}`", example_word(&words)));
        }
        found.map(|(_, meaning)| (*meaning, value.span()))
    }

    /// `key`, without a value.
    pub(crate) fn flag(&mut self, key: &str) -> bool {
        let Some(given) = self.take(key) else { return false };
        if !matches!(given.value, Value::Nothing) {
            self.errors.minor(&given.key, format!("`{key}` takes no value; write `{key}` alone"));
        }
        true
    }

    /// `key = a_function`.
    pub(crate) fn method(&mut self, key: &str) -> Option<Ident> {
        let value = self.value(key, "check")?;
        match &value {
            Expr::Path(path) if path.path.get_ident().is_some() => path.path.get_ident().cloned(),
            _ => {
                self.errors.minor(&value, format!("`{key}` is the name of a method of this block: `{key} = check`"));
                None
            }
        }
    }

    /// `crate = path`.
    pub(crate) fn crate_path(&mut self) -> Option<Path> {
        match self.value("crate", "::everloop")? {
            Expr::Path(path) if path.qself.is_none() => Some(path.path),
            other => {
                self.errors.minor(other, "`crate` is the path to everloop: `crate = ::everloop`");
                None
            }
        }
    }

    /// `key = 2.0`.
    pub(crate) fn number(&mut self, key: &str) -> Option<(f64, Span)> {
        let value = self.value(key, "2.0")?;
        let number = match &value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Float(number) => number.base10_parse::<f64>().ok(),
                Lit::Int(number) => number.base10_parse::<f64>().ok(),
                _ => None,
            },
            _ => None,
        };
        match number {
            Some(number) => Some((number, value.span())),
            None => {
                self.errors.minor(&value, format!("`{key}` is a number: `{key} = 2.0`"));
                None
            }
        }
    }

    /// `key = 5`.
    pub(crate) fn count(&mut self, key: &str) -> Option<u32> {
        let value = self.value(key, "5")?;
        let count = match &value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Int(number) => number.base10_parse::<u32>().ok(),
                _ => None,
            },
            _ => None,
        };
        if count.is_none_or(|count| count > i32::MAX as u32) {
            self.errors.minor(&value, format!("`{key}` is a whole number up to 2147483647: `{key} = 5`"));
            return None;
        }
        count
    }

    /// `key = ["A", "B"]`.
    pub(crate) fn texts(&mut self, key: &str) -> Option<Vec<LitStr>> {
        let value = self.value(key, "[\"Declined\"]")?;
        let texts = match &value {
            Expr::Array(array) => {
                array.elems.iter().map(|text| literal_text(&bare(text.clone())).cloned()).collect::<Option<Vec<_>>>()
            }
            _ => None,
        };
        if texts.is_none() {
            self.errors.minor(&value, format!("`{key}` is a list of strings: `{key} = [\"Declined\"]`"));
        }
        texts
    }

    /// `key(..)`.
    pub(crate) fn list(&mut self, key: &str) -> Option<Options<'a>> {
        let given = self.take(key)?;
        match given.value {
            Value::List(tokens) => Some(Options::parse(tokens, self.errors)),
            Value::Nothing | Value::Is(_) => {
                self.errors.minor(&given.key, format!("`{key}` takes a list: `{key}(maximum_attempts = 5)`"));
                None
            }
        }
    }

    /// Rejects a key that is reserved for a later version.
    pub(crate) fn not_yet(&mut self, key: &str, instead: &str) {
        if let Some(given) = self.take(key) {
            self.errors.minor(&given.key, format!("`{key}` is not supported yet; {instead}"));
        }
    }

    /// Rejects a key that belongs to another place.
    pub(crate) fn elsewhere(&mut self, key: &str, place: &str) {
        if let Some(given) = self.take(key) {
            self.errors.minor(&given.key, format!("`{key}` stands {place}; move it there"));
        }
    }

    /// Rejects the options that were not taken. `of` is the attribute, `valid` its keys.
    pub(crate) fn finish(self, of: &str, valid: &[&str]) {
        for given in self.given {
            let key = given.key.unraw();
            let valid = match valid {
                [] => format!("`{of}` takes no options"),
                keys => format!("`{of}` takes {}", listed(keys.iter().copied(), "and")),
            };
            self.errors.minor(&given.key, format!("unknown option `{key}`; {valid}"));
        }
    }
}

fn literal_text(value: &Expr) -> Option<&LitStr> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// `` `a`, `b` or `c` ``.
fn listed<'a>(words: impl Iterator<Item = &'a str>, before_last: &str) -> String {
    let mut words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.pop() {
        Some(last) if !words.is_empty() => format!("{} {before_last} {last}", words.join(", ")),
        Some(last) => last,
        None => String::new(),
    }
}

fn example_word(listed: &str) -> &str {
    listed.split('`').nth(1).unwrap_or_default()
}
