//! The parts of every activity, function or method.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{PatType, Signature, Type, TypeReference};

use crate::diagnostics::Errors;
use crate::signature::{Checked, bare, check_shape, check_types, typed};

/// An activity's parameters in order: its context, which is a reference, and its inputs.
pub(crate) struct Parameters {
    pub(crate) checked: Checked,
    /// The position of the context among the parameters, and the type it refers to.
    pub(crate) context: Option<(usize, Type)>,
    /// Whether generated code can call the user's function. Otherwise a mistake in it has been reported, and there are stubs for its
    /// callers only.
    pub(crate) callable: bool,
}

impl Parameters {
    /// The inputs as a pattern, in code that calls the body.
    pub(crate) fn passed_tuple(&self) -> TokenStream {
        match self.callable {
            true => self.checked.passed_tuple(),
            false => quote!(_),
        }
    }
}

pub(crate) fn check(signature: &Signature, errors: &Errors) -> Parameters {
    let before = errors.count_fatal();
    check_shape(signature, "an activity", errors);
    let mut context: Option<(usize, Type)> = None;
    let mut inputs: Vec<&PatType> = Vec::new();
    for (index, parameter) in typed(signature).enumerate() {
        match bare(&parameter.ty) {
            Type::Reference(reference) if may_be_context(reference, context.is_none()) => {
                let refers_to = check_context(reference, context.is_some(), errors);
                context = context.or(Some((index, refers_to)));
            }
            _ => inputs.push(parameter),
        }
    }
    let checked = check_types(signature, inputs.into_iter(), "an activity", errors);
    Parameters { checked, context, callable: errors.count_fatal() == before }
}

/// Whether the type is `ActivityContext` is decided by the type checker, as it may have another name here. A second reference of
/// another type is an input.
fn may_be_context(reference: &TypeReference, is_first: bool) -> bool {
    match bare(&reference.elem) {
        Type::Path(path) => match path.path.segments.last() {
            Some(last) if last.ident == "ActivityContext" => true,
            _ => is_first && !path.path.is_ident("str"),
        },
        Type::Slice(_) => false,
        _ => is_first,
    }
}

fn check_context(reference: &TypeReference, has_one: bool, errors: &Errors) -> Type {
    if has_one {
        errors.at(reference, "an activity has one context; remove this one");
    } else if reference.mutability.is_some() || reference.lifetime.is_some() {
        errors.at(reference, "the only reference an activity takes is its context: `ctx: &ActivityContext`");
    }
    (*reference.elem).clone()
}
