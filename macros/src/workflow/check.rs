//! What the methods of a `#[workflow] impl` block mean, or why they cannot.

use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Ident, ImplItem, ImplItemFn, ItemImpl, LitStr, Path, ReturnType, Signature, Type};

use super::parse::{HELPERS, Marked, Role, Written};
use crate::activity::check_impl;
use crate::attributes::Attributes;
use crate::determinism;
use crate::diagnostics::Errors;
use crate::options::Options;
use crate::signature::{Checked, Input, check_inputs, check_output, check_receiver, check_shape, typed};

/// A block that can be a workflow.
pub(crate) struct Workflow {
    pub(crate) root: Path,
    pub(crate) item: ItemImpl,
    pub(crate) self_type: Path,
    /// On the wire.
    pub(crate) name: String,
    pub(crate) run: Run,
    pub(crate) init: Option<Init>,
    pub(crate) handlers: Vec<Handler>,
}

/// The main method.
pub(crate) struct Run {
    pub(crate) index: usize,
    pub(crate) name: Ident,
    pub(crate) attributes: Attributes,
    pub(crate) checked: Checked,
}

/// The function that makes the initial state.
pub(crate) struct Init {
    pub(crate) name: Ident,
    pub(crate) inputs: Vec<Input>,
}

/// A signal, query or update.
pub(crate) struct Handler {
    pub(crate) index: usize,
    pub(crate) kind: Kind,
    pub(crate) name: Ident,
    /// On the wire.
    pub(crate) wire_name: String,
    pub(crate) attributes: Attributes,
    pub(crate) checked: Checked,
    /// The signature as written, for the documentation of the handle.
    pub(crate) signature: String,
}

pub(crate) enum Kind {
    Signal { unfinished: &'static str },
    Query,
    Update { unfinished: &'static str, validator: Option<Box<Validator>> },
}

/// What an update asks before it is accepted.
pub(crate) struct Validator {
    pub(crate) name: Ident,
    /// Its inputs are references to the update's.
    pub(crate) checked: Checked,
}

/// Methods of `WorkflowHandle`. A handler of one of these names would hide it on the typed handle.
pub(crate) const RESERVED: &[&str] = &[
    "cancel",
    "client",
    "describe",
    "first_execution_run_id",
    "history",
    "id",
    "query",
    "result",
    "result_with",
    "run_id",
    "signal",
    "start_update",
    "terminate",
    "untyped",
    "update",
    "workflow_id",
];

const WHY_SHARED: &str =
    "`run` and all handlers work on one value by turns; what changes is held in fields of type `State<..>`";

const UNFINISHED: &[(&str, &str)] = &[("warn", "Warn"), ("abandon", "Abandon")];

pub(crate) fn check(written: &Written, errors: &Errors) -> Option<Workflow> {
    let before = errors.fatal();
    let self_type = check_impl(&written.item, "#[workflow]", errors);
    let (mut run, mut init) = (None, None);
    let mut handlers: Vec<Handler> = Vec::new();
    for marked in &written.marked {
        let ImplItem::Fn(method) = &written.item.items[marked.index] else { continue };
        match marked.role {
            Role::Run => once(&mut run, check_run(method, marked, errors), marked, method, errors),
            Role::Init => {
                once(&mut init, check_init(method, marked, self_type.as_ref(), errors), marked, method, errors)
            }
            Role::Signal | Role::Query | Role::Update => {
                let handler = check_handler(method, marked, written, errors);
                refuse_twin(&handler, &handlers, errors);
                handlers.push(handler);
            }
        }
    }
    if !written.marked.iter().any(|marked| marked.role == Role::Run) {
        errors.at(
            &written.item.self_ty,
            "this block has no `#[run]`: write `#[run] async fn run(&self, ..) -> WorkflowResult<..>`; \
             a workflow has one block with its `#[run]` and all its handlers",
        );
    }
    let (self_type, mut run) = (self_type?, run?);
    if errors.fatal() > before {
        return None;
    }
    run.checked.spell_out_self(&self_type);
    for handler in &mut handlers {
        handler.checked.spell_out_self(&self_type);
        if let Kind::Update { validator: Some(validator), .. } = &mut handler.kind {
            validator.checked.spell_out_self(&self_type);
        }
    }
    let name = match &written.name {
        Some(name) => name.value(),
        None => self_type.segments.last()?.ident.unraw().to_string(),
    };
    Some(Workflow { root: written.root.clone(), item: written.item.clone(), self_type, name, run, init, handlers })
}

/// Keeps the first of a role that there can be one of.
fn once<T>(first: &mut Option<T>, found: T, marked: &Marked, method: &ImplItemFn, errors: &Errors) {
    match first {
        Some(_) => {
            let role = HELPERS[marked.role as usize];
            errors.at(
                &method.sig.ident,
                format!("a second `#[{role}]`; a workflow has one. Call this as an ordinary method from the first"),
            );
        }
        None => *first = Some(found),
    }
}

/// `cfg` on what a workflow cannot do without.
fn refuse_cfg(attributes: &Attributes, role: &str, errors: &Errors) {
    if let Some(cfg) = attributes.cfgs.first() {
        errors.at(cfg, format!("there is no workflow without its `#[{role}]`; put `#[cfg(..)]` on the whole block"));
    }
}

fn check_run(method: &ImplItemFn, marked: &Marked, errors: &Errors) -> Run {
    let signature = &method.sig;
    Options::of(&marked.attribute, errors).finish("#[run]", &[]);
    let attributes = Attributes::of(&method.attrs);
    refuse_cfg(&attributes, "run", errors);
    check_shape(signature, "`#[run]`", errors);
    check_receiver(signature, "`#[run]`", WHY_SHARED, errors);
    if signature.asyncness.is_none() {
        errors.at(signature.fn_token, "`#[run]` is the workflow and waits for what it does: write `async fn`");
    }
    let checked = Checked {
        is_async: true,
        inputs: check_inputs(typed(signature), "`#[run]`", errors),
        output: check_output(signature, errors),
    };
    Run { index: marked.index, name: signature.ident.clone(), attributes, checked }
}

fn check_init(method: &ImplItemFn, marked: &Marked, self_type: Option<&Path>, errors: &Errors) -> Init {
    let signature = &method.sig;
    Options::of(&marked.attribute, errors).finish("#[init]", &[]);
    refuse_cfg(&Attributes::of(&method.attrs), "init", errors);
    check_shape(signature, "`#[init]`", errors);
    if let Some(receiver) = signature.receiver() {
        errors.at(receiver, "`#[init]` makes the workflow, so there is no `self` yet: `fn new(..) -> Self`");
    }
    if let Some(token) = &signature.asyncness {
        errors.at(
            token,
            "`#[init]` makes the workflow's first state and waits for nothing; remove `async`, wait in `#[run]`",
        );
    }
    match &signature.output {
        ReturnType::Type(_, ty) if is_self(ty, self_type) => {}
        ReturnType::Type(_, ty) => {
            errors.at(ty, "`#[init]` returns the workflow: `-> Self`; what can fail is done in `#[run]`");
        }
        ReturnType::Default => errors.at(&signature.ident, "`#[init]` returns the workflow: add `-> Self`"),
    }
    let inputs = check_inputs(typed(signature), "`#[init]`", errors);
    Init { name: signature.ident.clone(), inputs }
}

fn is_self(ty: &Type, self_type: Option<&Path>) -> bool {
    match ty {
        Type::Path(path) if path.qself.is_none() => {
            path.path.is_ident("Self")
                || self_type.is_some_and(|it| {
                    it.segments.last().map(|it| &it.ident) == path.path.segments.last().map(|it| &it.ident)
                })
        }
        _ => false,
    }
}

fn check_handler(method: &ImplItemFn, marked: &Marked, written: &Written, errors: &Errors) -> Handler {
    let signature = &method.sig;
    let role = HELPERS[marked.role as usize];
    let article = if marked.role == Role::Update { "an" } else { "a" };
    let what = format!("{article} {role}");
    check_shape(signature, &what, errors);
    check_receiver(signature, &what, WHY_SHARED, errors);
    let checked = Checked {
        is_async: signature.asyncness.is_some(),
        inputs: check_inputs(typed(signature), &what, errors),
        output: check_output(signature, errors),
    };
    let (kind, wire_name) = check_options(method, marked, written, &checked, errors);
    if marked.role == Role::Query {
        if let Some(token) = &signature.asyncness {
            errors.at(
                token,
                "a query answers from the state as it is and waits for nothing; remove `async`, or make it an `#[update]`",
            );
        }
        determinism::refuse_writes(&method.block, "a query", errors);
    }
    let name = signature.ident.clone();
    let plain = name.unraw().to_string();
    if RESERVED.contains(&plain.as_str()) {
        errors.minor(
            &name,
            format!(
                "`{plain}` is a method of every workflow handle, which this {role} would hide; \
                 rename it and keep the name on the wire: `#[{role}(name = \"{plain}\")] fn request_{plain}`"
            ),
        );
    }
    Handler {
        index: marked.index,
        kind,
        wire_name: wire_name.map_or(plain, |name| name.value()),
        attributes: Attributes::of(&method.attrs),
        checked,
        signature: written_signature(signature),
        name,
    }
}

fn written_signature(signature: &Signature) -> String {
    let mut signature = signature.clone();
    signature.inputs.pop_punct();
    crate::text::readable(quote!(#signature))
}

fn check_options(
    method: &ImplItemFn,
    marked: &Marked,
    written: &Written,
    update: &Checked,
    errors: &Errors,
) -> (Kind, Option<LitStr>) {
    let mut options = Options::of(&marked.attribute, errors);
    let name = options.name();
    let (kind, attribute, keys): (_, _, &[&str]) = match marked.role {
        Role::Signal => {
            let unfinished = options.word("unfinished_policy", UNFINISHED).unwrap_or("Warn");
            (Kind::Signal { unfinished }, "#[signal]", &["name", "unfinished_policy"])
        }
        Role::Update => {
            let unfinished = options.word("unfinished_policy", UNFINISHED).unwrap_or("Warn");
            let validator = options.method("validator");
            let validator =
                validator.and_then(|name| check_validator(name, method, written, update, errors)).map(Box::new);
            (Kind::Update { unfinished, validator }, "#[update]", &["name", "unfinished_policy", "validator"])
        }
        _ => (Kind::Query, "#[query]", &["name"]),
    };
    options.finish(attribute, keys);
    (kind, name)
}

fn check_validator(
    name: Ident,
    update: &ImplItemFn,
    written: &Written,
    updates: &Checked,
    errors: &Errors,
) -> Option<Validator> {
    let example = example_of_validator(&name, update);
    let found = written.item.items.iter().enumerate().find_map(|(index, item)| match item {
        ImplItem::Fn(method) if method.sig.ident == name => Some((index, method)),
        _ => None,
    });
    let Some((index, method)) = found else {
        errors.minor(&name, format!("no method `{name}` in this block; write `{example}`"));
        return None;
    };
    if let Some(marked) = written.marked.iter().find(|marked| marked.index == index) {
        let role = HELPERS[marked.role as usize];
        errors.minor(
            &name,
            format!("`{name}` is `#[{role}]`; a validator is a method without an attribute: `{example}`"),
        );
        return None;
    }
    let signature = &method.sig;
    let before = errors.fatal();
    check_shape(signature, "a validator", errors);
    check_receiver(signature, "a validator", WHY_SHARED, errors);
    if let Some(token) = &signature.asyncness {
        errors.at(token, "a validator decides at once, before the update is in the history; remove `async`");
    }
    if let ReturnType::Default = signature.output {
        errors.at(&signature.ident, format!("a validator rejects by returning an error: `{example}`"));
    }
    determinism::refuse_writes(&method.block, "a validator", errors);
    let parameters: Vec<_> = typed(signature).collect();
    if parameters.len() != updates.inputs.len() {
        errors
            .at(&signature.ident, format!("a validator takes a reference to each argument of its update: `{example}`"));
    }
    for parameter in parameters {
        if !matches!(&*parameter.ty, Type::Reference(reference) if reference.mutability.is_none() && reference.lifetime.is_none())
        {
            let ty = &parameter.ty;
            let text = crate::text::readable(ty.to_token_stream());
            errors
                .at(ty, format!("a validator only looks at the arguments: write `&{}`", text.trim_start_matches('&')));
        }
    }
    let checked = Checked {
        is_async: false,
        inputs: Vec::new(), // it is given references to the update's
        output: check_output(signature, errors),
    };
    (errors.fatal() == before).then_some(Validator { name, checked })
}

fn example_of_validator(name: &Ident, update: &ImplItemFn) -> String {
    let parameters = typed(&update.sig).map(|parameter| {
        let (pattern, ty) = (&parameter.pat, &parameter.ty);
        quote!(#pattern: &#ty)
    });
    crate::text::readable(quote!(fn #name(&self #(, #parameters)*) -> WorkflowResult<()>))
}

/// Two handlers of one kind under one name; `cfg` may leave only one of them.
fn refuse_twin(handler: &Handler, others: &[Handler], errors: &Errors) {
    let same_kind = |other: &&Handler| std::mem::discriminant(&other.kind) == std::mem::discriminant(&handler.kind);
    let twin = others.iter().filter(same_kind).find(|other| other.wire_name == handler.wire_name);
    let kind = match handler.kind {
        Kind::Signal { .. } => "signals",
        Kind::Query => "queries",
        Kind::Update { .. } => "updates",
    };
    if twin.is_some_and(|twin| twin.attributes.cfgs.is_empty() || handler.attributes.cfgs.is_empty()) {
        errors.at(&handler.name, format!("two {kind} are called `{}`; give one another name", handler.wire_name));
    }
}
