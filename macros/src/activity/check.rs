//! What every activity has, function or method.

use syn::{PatType, Signature, Type, TypeReference};

use crate::diagnostics::Errors;
use crate::signature::{Checked, bare, check_inputs, check_output, check_shape, typed};

/// An activity's parameters in order: its context, which is a reference, and its inputs.
pub(crate) struct Parameters {
    pub(crate) checked: Checked,
    /// Where the context stands among the parameters, and the type it refers to.
    pub(crate) context: Option<(usize, Type)>,
}

pub(crate) fn check(signature: &Signature, errors: &Errors) -> Parameters {
    check_shape(signature, "an activity", errors);
    let mut context: Option<(usize, Type)> = None;
    let mut inputs: Vec<&PatType> = Vec::new();
    for (index, parameter) in typed(signature).enumerate() {
        match bare(&parameter.ty) {
            Type::Reference(reference) => {
                let refers_to = check_context(reference, context.is_some(), errors);
                context = context.or(Some((index, refers_to)));
            }
            _ => inputs.push(parameter),
        }
    }
    let checked = Checked {
        is_async: signature.asyncness.is_some(),
        inputs: check_inputs(inputs.into_iter(), "an activity", errors),
        output: check_output(signature, errors),
    };
    Parameters { checked, context }
}

/// Whether the type is `ActivityContext` is the type checker's to say, as it may have another name here.
fn check_context(reference: &TypeReference, has_one: bool, errors: &Errors) -> Type {
    if has_one {
        errors.at(reference, "an activity has one context; inputs are owned: write `String` for `&str`");
    } else if reference.mutability.is_some() || reference.lifetime.is_some() {
        errors.at(reference, "the only reference an activity takes is its context: `ctx: &ActivityContext`");
    }
    (*reference.elem).clone()
}
