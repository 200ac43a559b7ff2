//! The path to our crate in the user's.

use proc_macro_crate::FoundCrate;
use proc_macro2::Span;
use syn::{Ident, Path, parse_quote};

/// Returns the path to everloop: that of `crate = path`, otherwise the name of the dependency in `Cargo.toml`.
pub(crate) fn everloop(given: Option<Path>) -> Path {
    if let Some(path) = given {
        return path;
    }
    let name = match proc_macro_crate::crate_name("everloop") {
        // Its own tests and doctests use its own name, too.
        Ok(FoundCrate::Itself) | Err(_) => "everloop".to_owned(),
        Ok(FoundCrate::Name(name)) => name,
    };
    // With the call site's hygiene: a path to a crate means the same everywhere.
    let name = Ident::new(&name, Span::call_site());
    parse_quote!(::#name)
}
