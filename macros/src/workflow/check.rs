//! Checks the methods of a `#[workflow] impl` block against their roles.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Generics, PatType, Path, ReturnType, Signature, Type};

use super::parse::{MethodRole, Role, WrittenWorkflow};
use crate::activity::check_impl;
use crate::attributes::Attributes;
use crate::determinism;
use crate::diagnostics::Errors;
use crate::impl_block::{ImplBlock, Method, UNFINISHED};
use crate::signature::{
    Checked, Input, UNKNOWN, bare, check_inputs, check_receiver, check_shape, check_types, is_called_context, typed,
};

/// A block that is a workflow, possibly with mistakes in its methods.
pub(crate) struct Workflow {
    pub(crate) root: Path,
    pub(crate) block: ImplBlock,
    pub(crate) self_type: Path,
    /// Generics of the generated items: those of the block, which are a mistake.
    pub(crate) generics: Generics,
    /// On the wire.
    pub(crate) name: String,
    /// `None` if no method can be it, which has been reported.
    pub(crate) run: Option<Run>,
    pub(crate) init: Option<Init>,
    pub(crate) handlers: Vec<Handler>,
    /// The first mistake, as a type.
    pub(crate) unknown: Option<TokenStream>,
    /// Whether the block itself, apart from its methods, has no mistake.
    pub(crate) is_right: bool,
}

/// The main method.
pub(crate) struct Run {
    pub(crate) index: usize,
    pub(crate) name: Ident,
    pub(crate) attributes: Attributes,
    pub(crate) checked: Checked,
    /// Whether generated code can call the user's method. Otherwise a mistake in it has been reported, and there are stubs for its
    /// callers only.
    pub(crate) callable: bool,
}

/// The function that creates the initial state.
pub(crate) struct Init {
    pub(crate) name: Ident,
    pub(crate) inputs: Vec<Input>,
    pub(crate) callable: bool,
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
    pub(crate) callable: bool,
}

pub(crate) enum Kind {
    Signal {
        unfinished: &'static str,
    },
    Query,
    Update {
        unfinished: &'static str,
        validator: Option<Box<Validator>>,
    },
    /// The method has several roles, which has been reported.
    Unclear,
}

/// The validator of an update.
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
    "histories",
    "history",
    "id",
    "pause_activity",
    "query",
    "reset_activity",
    "result",
    "result_with",
    "run_id",
    "signal",
    "start_update",
    "terminate",
    "unpause_activity",
    "untyped",
    "update",
    "workflow_id",
];

const WHY_SHARED: &str =
    "`run` and all handlers work on one value by turns; what changes is held in fields of type `State<..>`";

/// Returns `None` if nothing can be generated: the block is not that of a struct.
pub(crate) fn check(written: &WrittenWorkflow, errors: &Errors) -> Option<Workflow> {
    let block = &written.block;
    let self_type = check_impl(&block.head, "#[workflow]", errors)?;
    let (mut run, mut init) = (None, None);
    let mut handlers: Vec<Handler> = Vec::new();
    for marked in &written.marked {
        let Some(method) = block.method(marked.index) else { continue };
        match &marked.role {
            Role::Run if run.is_none() => run = Some(check_run(method, marked.index, errors)),
            Role::Init if init.is_none() => init = Some(check_init(method, &self_type.path, errors)),
            Role::Run | Role::Init => refuse_second(marked, method, errors),
            Role::Signal { .. } | Role::Query { .. } | Role::Update { .. } => {
                let handler = check_handler(method, marked, written, errors);
                if !is_twin(&handler, &handlers, errors) {
                    handlers.push(handler);
                }
            }
        }
    }
    let run = run.or_else(|| missing_run(written, errors));
    let name = match &written.name {
        Some(name) => name.value(),
        None => self_type.path.segments.last()?.ident.unraw().to_string(),
    };
    let mut workflow = Workflow {
        root: written.root.clone(),
        block: block.clone(),
        generics: self_type.generics(&block.head),
        self_type: self_type.path,
        name,
        run,
        init,
        handlers,
        unknown: errors.unknown_type(&written.root),
        is_right: self_type.is_right,
    };
    workflow.fit_signatures();
    Some(workflow)
}

impl Workflow {
    /// Replaces types in all signatures that cannot be used in generated code.
    fn fit_signatures(&mut self) {
        if let Some(unknown) = &self.unknown {
            self.block.finish(unknown);
        }
        let unknown = Ident::new(UNKNOWN, Span::mixed_site()).into_token_stream();
        let Self { block, self_type, run, init, handlers, is_right, .. } = self;
        let fit = |checked: &mut Checked, index: usize| {
            checked.spell_out_self(self_type);
            let method = block.method(index).map(|method| &method.signature.generics);
            checked.replace_unknown_types(&unknown, method.into_iter().chain([&block.head.generics]));
        };
        if let Some(run) = run {
            fit(&mut run.checked, run.index);
            run.callable &= *is_right;
        }
        if let Some(init) = init {
            init.callable &= *is_right;
        }
        for handler in handlers {
            fit(&mut handler.checked, handler.index);
            handler.callable &= *is_right;
            if let Kind::Update { validator: Some(validator), .. } = &mut handler.kind {
                validator.checked.spell_out_self(self_type);
            }
        }
    }
}

fn refuse_second(marked: &MethodRole, method: &Method, errors: &Errors) {
    let role = marked.role.helper();
    errors.minor(
        &method.signature.ident,
        format!("a second `#[{role}]`; a workflow has one. Call this as an ordinary method from the first"),
    );
}

/// Reports that no method is marked, and returns the one that was probably meant.
fn missing_run(written: &WrittenWorkflow, errors: &Errors) -> Option<Run> {
    errors.at(
        &written.block.head.self_ty,
        "this block has no `#[run]`: write `#[run] async fn run(&self, ..) -> WorkflowResult<..>`; \
         a workflow has one block with its `#[run]` and all its handlers",
    );
    let unmarked = written.block.methods().filter(|(index, method)| {
        let is_marked = written.marked.iter().any(|marked| marked.index == *index);
        !is_marked && method.signature.asyncness.is_some() && method.signature.receiver().is_some()
    });
    let mut unmarked: Vec<_> = unmarked.collect();
    if unmarked.len() > 1 {
        unmarked.retain(|(_, method)| method.signature.ident == "run");
    }
    let (index, method) = unmarked.pop()?;
    Some(check_run(method, index, errors))
}

/// Rejects `cfg` on required methods.
fn refuse_cfg(attributes: &Attributes, role: &str, errors: &Errors) {
    if let Some(cfg) = attributes.cfgs.first() {
        errors.at(cfg, format!("there is no workflow without its `#[{role}]`; put `#[cfg(..)]` on the whole block"));
    }
}

/// Returns the parameters without the receiver and without references to contexts, which callers would not pass.
fn inputs<'a>(signature: &'a Signature, errors: &Errors) -> Vec<&'a PatType> {
    let mut inputs: Vec<_> = typed(signature).collect();
    inputs.retain(|parameter| {
        let is_context = matches!(bare(&parameter.ty), Type::Reference(_)) && is_called_context(&parameter.ty);
        if is_context {
            errors.at(
                &parameter.ty,
                "workflow code has no context: remove it, and call `workflow::now()`, `workflow::info()`, `workflow::is_cancelled()` and the like",
            );
        }
        !is_context
    });
    inputs
}

fn check_run(method: &Method, index: usize, errors: &Errors) -> Run {
    let before = errors.count_fatal();
    let signature = &method.signature;
    let attributes = Attributes::of(&method.attrs);
    refuse_cfg(&attributes, "run", errors);
    check_shape(signature, "`#[run]`", errors);
    check_receiver(signature, "`#[run]`", WHY_SHARED, errors);
    if signature.asyncness.is_none() {
        errors.at(signature.fn_token, "`#[run]` is the workflow and waits for what it does: write `async fn`");
    }
    let checked = check_types(signature, inputs(signature, errors).into_iter(), "`#[run]`", errors);
    let callable = errors.count_fatal() == before && method.syntax_error().is_none();
    Run { index, name: signature.ident.clone(), attributes, checked, callable }
}

fn check_init(method: &Method, self_type: &Path, errors: &Errors) -> Init {
    let before = errors.count_fatal();
    let signature = &method.signature;
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
    let inputs = check_inputs(inputs(signature, errors).into_iter(), "`#[init]`", errors);
    let callable = errors.count_fatal() == before && method.syntax_error().is_none();
    Init { name: signature.ident.clone(), inputs, callable }
}

fn is_self(ty: &Type, self_type: &Path) -> bool {
    match ty {
        Type::Path(path) if path.qself.is_none() => {
            path.path.is_ident("Self")
                || self_type.segments.last().map(|it| &it.ident) == path.path.segments.last().map(|it| &it.ident)
        }
        _ => false,
    }
}

fn check_handler(method: &Method, marked: &MethodRole, written: &WrittenWorkflow, errors: &Errors) -> Handler {
    let before = errors.count_fatal();
    let signature = &method.signature;
    let role = marked.role.helper();
    let article = if role == "update" { "an" } else { "a" };
    let what = format!("{article} {role}");
    check_shape(signature, &what, errors);
    check_receiver(signature, &what, WHY_SHARED, errors);
    let checked = check_types(signature, inputs(signature, errors).into_iter(), &what, errors);
    let (kind, wire_name) = match &marked.role {
        Role::Signal { name, unfinished } => (Kind::Signal { unfinished }, name),
        Role::Update { name, unfinished, validator } => {
            let validator = validator.as_ref();
            let validator = validator.and_then(|name| check_validator(name, method, written, &checked, errors));
            (Kind::Update { unfinished, validator: validator.map(Box::new) }, name)
        }
        Role::Query { name } => {
            if let Some(token) = &signature.asyncness {
                errors.at(
                    token,
                    "a query answers from the state as it is and waits for nothing; remove `async`, or make it an `#[update]`",
                );
            }
            determinism::refuse_writes(&method.body, "a query", errors);
            (Kind::Query, name)
        }
        Role::Run | Role::Init => unreachable!("a handler is a signal, a query or an update"),
    };
    let kind = if marked.has_others { Kind::Unclear } else { kind };
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
        wire_name: wire_name.as_ref().map_or(plain, |name| name.value()),
        attributes: Attributes::of(&method.attrs),
        checked,
        signature: written_signature(signature),
        name,
        callable: !marked.has_others && errors.count_fatal() == before && method.syntax_error().is_none(),
    }
}

fn written_signature(signature: &Signature) -> String {
    let mut signature = signature.clone();
    signature.inputs.pop_punct();
    crate::text::readable(quote!(#signature)).replace(UNFINISHED, "_")
}

fn check_validator(
    name: &Ident,
    update: &Method,
    written: &WrittenWorkflow,
    updates: &Checked,
    errors: &Errors,
) -> Option<Validator> {
    let example = example_of_validator(name, update);
    let Some((index, method)) = written.block.methods().find(|(_, method)| method.signature.ident == *name) else {
        errors.minor(name, format!("no method `{name}` in this block; write `{example}`"));
        return None;
    };
    if let Some(marked) = written.marked.iter().find(|marked| marked.index == index) {
        let role = marked.role.helper();
        errors
            .minor(name, format!("`{name}` is `#[{role}]`; a validator is a method without an attribute: `{example}`"));
        return None;
    }
    let signature = &method.signature;
    let before = errors.count_fatal();
    check_shape(signature, "a validator", errors);
    check_receiver(signature, "a validator", WHY_SHARED, errors);
    if let Some(token) = &signature.asyncness {
        errors.at(token, "a validator decides at once, before the update is in the history; remove `async`");
    }
    if let ReturnType::Default = signature.output {
        errors.at(&signature.ident, format!("a validator rejects by returning an error: `{example}`"));
    }
    determinism::refuse_writes(&method.body, "a validator", errors);
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
    // Its inputs are references to the update's.
    let checked = check_types(signature, [].into_iter(), "a validator", errors);
    (errors.count_fatal() == before && method.syntax_error().is_none())
        .then(|| Validator { name: name.clone(), checked })
}

fn example_of_validator(name: &Ident, update: &Method) -> String {
    let parameters = typed(&update.signature).map(|parameter| {
        let (pattern, ty) = (&parameter.pat, &parameter.ty);
        quote!(#pattern: &#ty)
    });
    crate::text::readable(quote!(fn #name(&self #(, #parameters)*) -> WorkflowResult<()>))
}

/// Reports two handlers of one kind under one name, of which `cfg` may leave one. Returns whether code for both would clash.
fn is_twin(handler: &Handler, others: &[Handler], errors: &Errors) -> bool {
    let same_kind = |other: &&Handler| std::mem::discriminant(&other.kind) == std::mem::discriminant(&handler.kind);
    let twin = others.iter().filter(same_kind).find(|other| other.wire_name == handler.wire_name);
    let kind = match handler.kind {
        Kind::Signal { .. } => "signals",
        Kind::Query => "queries",
        Kind::Update { .. } => "updates",
        Kind::Unclear => return others.iter().any(|other| other.name == handler.name),
    };
    let Some(twin) = twin.filter(|twin| twin.attributes.cfgs.is_empty() || handler.attributes.cfgs.is_empty()) else {
        return false;
    };
    errors.minor(&handler.name, format!("two {kind} are called `{}`; give one another name", handler.wire_name));
    twin.name == handler.name
}
