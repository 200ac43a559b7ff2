//! Takes our attributes off the methods of a `#[workflow] impl` block.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Attribute, ImplItem, ItemImpl, LitStr, Path};

use crate::attributes::{refuse_cfg_attr, take_ours};
use crate::determinism;
use crate::diagnostics::Errors;
use crate::options::Options;
use crate::root;

/// What a method is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Run,
    Init,
    Signal,
    Query,
    Update,
}

/// The attributes that give a method its role, in the order of [`Role`].
pub(crate) const HELPERS: &[&str] = &["run", "init", "signal", "query", "update"];

const ROLES: [Role; 5] = [Role::Run, Role::Init, Role::Signal, Role::Query, Role::Update];

/// A method with a role.
pub(crate) struct Marked {
    pub(crate) role: Role,
    pub(crate) attribute: Attribute,
    /// Which item of the block it is.
    pub(crate) index: usize,
}

/// A block as written, our attributes taken off.
pub(crate) struct Written {
    pub(crate) root: Path,
    pub(crate) name: Option<LitStr>,
    pub(crate) item: ItemImpl,
    pub(crate) marked: Vec<Marked>,
}

pub(crate) fn parse(mut options: Options<'_>, mut item: ItemImpl, errors: &Errors) -> Written {
    let root = root::everloop(options.crate_path());
    let name = options.name();
    options.not_yet("versioning", "leave it out");
    options.finish("#[workflow] impl", &["name", "crate"]);
    let mut marked = Vec::new();
    for (index, member) in item.items.iter_mut().enumerate() {
        let ImplItem::Fn(method) = member else { continue };
        refuse_cfg_attr(&mut method.attrs, HELPERS, &root, errors);
        let mut taken = take_ours(&mut method.attrs, HELPERS, &root).into_iter();
        if let Some((role, attribute)) = taken.next() {
            marked.push(Marked { role: ROLES[role], attribute, index });
            for (again, attribute) in taken {
                let message = match again == role {
                    true => format!("`#[{}]` stands here twice; remove one", HELPERS[again]),
                    false => format!("this method is `#[{}]` already; a method has one role", HELPERS[role]),
                };
                errors.at(attribute, message);
            }
        }
        determinism::check_method(method, &root, errors);
    }
    Written { root, name, item, marked }
}

/// What the user wrote, without our attributes.
pub(crate) fn untouched(written: &Written) -> TokenStream {
    written.item.to_token_stream()
}
