//! `#[activity]` on a function, with or without a body.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{FnArg, Generics, Ident, Path, Visibility, parse_quote};

use super::check::{self, Parameters};
use super::generate::{self, Locals, Marker};
use super::options::ActivityOptions;
use crate::attributes::Attributes;
use crate::diagnostics::Errors;
use crate::impl_block::Method;
use crate::options::Options;
use crate::root;
use crate::signature::UNKNOWN;

/// A function as written.
pub(crate) struct WrittenFunction {
    options: ActivityOptions,
    function: Method,
}

/// A function that is an activity, possibly with mistakes.
pub(crate) struct CheckedFunction {
    root: Path,
    attributes: Attributes,
    function: Method,
    options: ActivityOptions,
    parameters: Parameters,
    /// The first mistake, as a type.
    unknown: Option<TokenStream>,
}

pub(crate) fn parse(options: TokenStream, item: TokenStream, errors: &Errors) -> Option<WrittenFunction> {
    let options = ActivityOptions::read(Options::parse(options, errors), errors);
    match syn::parse2(item.clone()) {
        Ok(function) => Some(WrittenFunction { options, function }),
        Err(_) => {
            let first: TokenStream = item.into_iter().take(1).collect();
            errors.at(
                first,
                "`#[activity]` stands on a function: `#[activity] async fn charge(amount: u32) -> ActivityResult<Receipt> { .. }`",
            );
            None
        }
    }
}

/// Returns `None` if nothing can be generated: the function is a method.
pub(crate) fn check(written: WrittenFunction, errors: &Errors) -> Option<CheckedFunction> {
    let WrittenFunction { options, mut function } = written;
    let signature = &function.signature;
    if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        errors
            .at(receiver, "a method is an activity of its value: write `#[activities]` on the `impl` block around it");
        return None;
    }
    errors.fatal_if(function.syntax_error());
    let mut parameters = check::check(signature, errors);
    parameters.callable &= function.syntax_error().is_none();
    let module = module(&signature.ident);
    let unknown = Ident::new(UNKNOWN, Span::mixed_site());
    parameters.checked.replace_unknown_types(&quote!(#module::#unknown), [&signature.generics].into_iter());
    match (function.has_body(), &parameters.context) {
        (false, Some((_, context))) => {
            errors.at(context, "a definition without a body lists the inputs alone; the context belongs to the body");
        }
        (false, None) => options.check_heartbeat_of_definition(errors),
        (true, context) => options.check_heartbeat(context.is_some(), parameters.checked.is_async, errors),
    }
    let root = root::everloop(options.root.clone());
    let unknown = errors.unknown_type(&root);
    if let Some(unknown) = &unknown {
        function.finish(unknown);
    }
    Some(CheckedFunction { root, attributes: Attributes::of(&function.attrs), function, options, parameters, unknown })
}

/// Holds the activity's type, in a module of its own: beside the function it would take the name of a user's `mod charge`.
fn module(name: &Ident) -> Ident {
    format_ident!("__activity_{}", name.unraw(), span = Span::mixed_site())
}

pub(crate) fn generate(activity: &CheckedFunction) -> TokenStream {
    let CheckedFunction { root, attributes, function, options, parameters, unknown } = activity;
    let private = quote!(#root::__private);
    let (name, visibility) = (&function.signature.ident, &function.vis);
    let module = module(name);
    let marker_type = quote!(#module::#name);
    let constructor = generate::constructor(&private, attributes, visibility, name, parameters, &marker_type);
    let marker_visibility = from_below(visibility);
    let blocking = function.has_body() && function.signature.asyncness.is_none();
    let marker = Marker { ty: &marker_type, generics: &Generics::default(), cfgs: &[] };
    let implementation = generate::signature(&private, &marker, name, options, parameters, blocking);
    let Attributes { cfgs, others, .. } = attributes;
    let body = function.has_body().then(|| {
        let executes = executes(&private, name, parameters, &marker_type);
        // As written, with all other attributes. It hides the constructor in this block only, so that no other code can run it.
        let mut function = function.clone();
        function.attrs = others.clone();
        function.vis = Visibility::Inherited;
        quote!(#function #executes)
    });
    let unknown = unknown.as_ref().map(|unknown| {
        let name = Ident::new(UNKNOWN, Span::mixed_site());
        quote! {
            #[allow(dead_code)]
            pub type #name = #unknown;
        }
    });
    quote! {
        #constructor

        #(#cfgs)*
        #[doc(hidden)]
        #[allow(unreachable_pub)]
        #visibility mod #module {
            /// An empty type for each activity, so that calls of different activities have different types.
            #[doc(hidden)]
            #[allow(non_camel_case_types, dead_code, missing_debug_implementations, missing_copy_implementations)]
            #marker_visibility enum #name {}
            #unknown
        }

        #(#cfgs)*
        const _: () = {
            #[allow(unused_imports)]
            use #private::Plain as _;
            #body
            #implementation
        };
    }
}

/// `impl FunctionActivity`.
fn executes(private: &TokenStream, name: &Ident, parameters: &Parameters, marker_type: &TokenStream) -> TokenStream {
    let locals = Locals::new();
    let context = &locals.context;
    let arguments = parameters.passed_tuple();
    let body = generate::execute(private, name, &quote!(#name), None, parameters, &locals);
    quote! {
        impl #private::FunctionActivity for #marker_type {
            #[allow(unused_variables)]
            fn execute_activity(
                #context: #private::ActivityContext,
                #arguments: Self::Args,
            ) -> #private::SendFuture<#private::Result<Self::Output, #private::ActivityError>> {
                #body
            }
        }
    }
}

/// Returns the same visibility, written one module further down: a private activity may have a private input.
fn from_below(visibility: &Visibility) -> Visibility {
    match visibility {
        Visibility::Inherited => parse_quote!(pub(super)),
        Visibility::Restricted(restricted) => {
            let path = &restricted.path;
            match path.segments.first() {
                Some(first) if first.ident == "super" => parse_quote!(pub(in super::#path)),
                Some(first) if first.ident == "self" => {
                    let rest = path.segments.iter().skip(1);
                    parse_quote!(pub(in super #(::#rest)*))
                }
                _ => visibility.clone(),
            }
        }
        Visibility::Public(_) => visibility.clone(),
    }
}
