//! The attributes of the methods in a `#[workflow] impl` block, which are removed from them.

use proc_macro2::Ident;
use syn::{Attribute, LitStr, Path};

use crate::attributes::{refuse_cfg_attr, take_ours};
use crate::diagnostics::Errors;
use crate::impl_block::ImplBlock;
use crate::options::Options;
use crate::root;

/// The attributes that define a method's role.
pub(crate) const HELPERS: &[&str] = &["run", "init", "signal", "query", "update"];

/// The index of the last attribute that a block has once.
const ONCE: usize = 1;

const UNFINISHED: &[(&str, &str)] = &[("warn", "Warn"), ("abandon", "Abandon")];

/// The role of a method, with the options of its attribute.
pub(crate) enum Role {
    Run,
    Init,
    Signal {
        /// The name on the wire, if it is not the method's own.
        name: Option<LitStr>,
        /// A variant of `UnfinishedPolicy`.
        unfinished: &'static str,
    },
    Query {
        name: Option<LitStr>,
    },
    Update {
        name: Option<LitStr>,
        unfinished: &'static str,
        validator: Option<Ident>,
    },
}

/// A method with a role.
pub(crate) struct MethodRole {
    pub(crate) role: Role,
    /// Whether it has other roles, too, which is a mistake.
    pub(crate) has_others: bool,
    /// Its index among the members of the block.
    pub(crate) index: usize,
}

/// A block as written, without our attributes.
pub(crate) struct WrittenWorkflow {
    pub(crate) root: Path,
    pub(crate) name: Option<LitStr>,
    pub(crate) block: ImplBlock,
    pub(crate) marked: Vec<MethodRole>,
}

pub(crate) fn parse(mut options: Options<'_>, mut block: ImplBlock, errors: &Errors) -> WrittenWorkflow {
    let root = root::everloop(options.crate_path());
    let name = options.name();
    options.not_yet("versioning", "leave it out");
    options.finish("#[workflow] impl", &["name", "crate"]);
    let mut marked = Vec::new();
    for (index, method) in block.methods_mut() {
        errors.fatal_if(method.syntax_error());
        refuse_cfg_attr(&mut method.attrs, HELPERS, &root, errors);
        let mut taken = take_ours(&mut method.attrs, HELPERS, &root);
        // Of several roles, the one that a workflow has once takes precedence: fewer uses lose their item.
        taken.sort_by_key(|(role, _)| *role > ONCE);
        let mut taken = taken.into_iter();
        let Some((role, attribute)) = taken.next() else { continue };
        let mut found = MethodRole { role: read_role(HELPERS[role], &attribute, errors), has_others: false, index };
        for (again, attribute) in taken {
            if again == role {
                errors.minor(attribute, format!("`#[{}]` stands here twice; remove one", HELPERS[again]));
            } else {
                errors.at(attribute, format!("this method is `#[{}]` already; a method has one role", HELPERS[role]));
                found.has_others = true;
            }
        }
        marked.push(found);
    }
    WrittenWorkflow { root, name, block, marked }
}

fn read_role(helper: &str, attribute: &Attribute, errors: &Errors) -> Role {
    let mut options = Options::of(attribute, errors);
    let (role, keys): (Role, &[&str]) = match helper {
        "run" => (Role::Run, &[]),
        "init" => (Role::Init, &[]),
        "signal" => {
            let (name, unfinished) = (options.name(), unfinished_policy(&mut options));
            (Role::Signal { name, unfinished }, &["name", "unfinished_policy"])
        }
        "query" => (Role::Query { name: options.name() }, &["name"]),
        _ => {
            let (name, unfinished) = (options.name(), unfinished_policy(&mut options));
            let validator = options.method("validator");
            (Role::Update { name, unfinished, validator }, &["name", "unfinished_policy", "validator"])
        }
    };
    options.finish(&format!("#[{helper}]"), keys);
    role
}

fn unfinished_policy(options: &mut Options<'_>) -> &'static str {
    options.word("unfinished_policy", UNFINISHED).unwrap_or("Warn")
}

impl Role {
    /// The name of its attribute.
    pub(crate) fn helper(&self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Init => "init",
            Self::Signal { .. } => "signal",
            Self::Query { .. } => "query",
            Self::Update { .. } => "update",
        }
    }
}
