//! Sorts a user's attributes by the generated items that receive them.

use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Path, Token};

use crate::diagnostics::Errors;

/// An item's attributes, by destination.
#[derive(Default)]
pub(crate) struct Attributes {
    /// For the item that the user calls.
    pub(crate) docs: Vec<Attribute>,
    /// For everything generated from the item.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) deprecated: Vec<Attribute>,
    /// All others stay with the body.
    pub(crate) others: Vec<Attribute>,
}

impl Attributes {
    pub(crate) fn of(attributes: &[Attribute]) -> Self {
        let mut sorted = Self::default();
        for attribute in attributes {
            let place = match attribute.path() {
                path if path.is_ident("doc") => &mut sorted.docs,
                path if path.is_ident("cfg") => &mut sorted.cfgs,
                path if path.is_ident("deprecated") => &mut sorted.deprecated,
                _ => &mut sorted.others,
            };
            place.push(attribute.clone());
        }
        sorted
    }
}

/// Whether this is Everloop's attribute of that name, written alone or as `everloop::name`.
pub(crate) fn is_ours(path: &Path, name: &str, root: &Path) -> bool {
    let Some(last) = path.segments.last() else { return false };
    let root = root.segments.last().map(|segment| segment.ident.to_string());
    last.ident == name
        && match path.segments.len() {
            1 => path.leading_colon.is_none(),
            2 => path.segments[0].ident == "everloop" || Some(path.segments[0].ident.to_string()) == root,
            _ => false,
        }
}

/// Removes Everloop's attributes of these names and returns them, with the index of the name.
pub(crate) fn take_ours(attributes: &mut Vec<Attribute>, names: &[&str], root: &Path) -> Vec<(usize, Attribute)> {
    let mut taken = Vec::new();
    attributes.retain(|attribute| {
        let name = names.iter().position(|name| is_ours(attribute.path(), name, root));
        taken.extend(name.map(|name| (name, attribute.clone())));
        name.is_none()
    });
    taken
}

/// Rejects `#[cfg_attr(.., signal)]`, and replaces it by the inner attribute, so that the method keeps its role.
pub(crate) fn refuse_cfg_attr(attributes: &mut [Attribute], names: &[&str], root: &Path, errors: &Errors) {
    for attribute in attributes {
        let found = match &attribute.meta {
            Meta::List(list) if list.path.is_ident("cfg_attr") => {
                let inner = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
                inner.into_iter().flatten().skip(1).find_map(|inner| {
                    let name = names.iter().find(|name| is_ours(inner.path(), name, root))?;
                    Some((inner, name))
                })
            }
            _ => None,
        };
        if let Some((inner, name)) = found {
            errors.minor(
                &inner,
                format!("`#[{name}]` cannot stand in `cfg_attr`; write `#[{name}]`, and `#[cfg(..)]` on the method"),
            );
            attribute.meta = inner;
        }
    }
}
