//! `#[activity]` on a function, with or without a body.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, FnArg, Ident, Path, Signature, Token, Visibility, parse_quote};

use super::check::{self, Parameters};
use super::generate::{self, Locals};
use super::options::ActivityOptions;
use crate::attributes::Attributes;
use crate::diagnostics::Errors;
use crate::options::Options;
use crate::root;

/// A function as written.
pub(crate) struct Written {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    /// `{ .. }` and what is in it, unread; nothing for `;`.
    body: Option<TokenStream>,
}

impl Parse for Written {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        let body = if input.peek(Token![;]) {
            input.parse::<Token![;]>()?;
            None
        } else {
            Some(input.parse()?)
        };
        Ok(Self { attributes, visibility, signature, body })
    }
}

/// A function that can be an activity.
pub(crate) struct Activity {
    root: Path,
    attributes: Attributes,
    visibility: Visibility,
    signature: Signature,
    body: Option<TokenStream>,
    options: ActivityOptions,
    parameters: Parameters,
}

pub(crate) fn parse(item: TokenStream, errors: &Errors) -> Option<Written> {
    let written = syn::parse2::<Written>(item.clone()).ok();
    if written.is_none() {
        let first: TokenStream = item.into_iter().take(1).collect();
        errors.at(
            first,
            "`#[activity]` stands on a function: `#[activity] async fn charge(amount: u32) -> ActivityResult<Receipt> { .. }`",
        );
    }
    written
}

/// What the user wrote, for when nothing can be generated.
pub(crate) fn untouched(item: TokenStream) -> TokenStream {
    match syn::parse2::<Written>(item.clone()) {
        // That it has no body is no mistake.
        Ok(Written { attributes, visibility, signature, body: None }) => quote! {
            #(#attributes)*
            #[allow(unused_variables)]
            #visibility #signature { loop {} }
        },
        _ => item,
    }
}

pub(crate) fn check(options: TokenStream, written: Written, errors: &Errors) -> Option<Activity> {
    let options = ActivityOptions::read(Options::parse(options, errors), errors);
    let Written { attributes, visibility, signature, body } = written;
    if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        errors
            .at(receiver, "a method is an activity of its value: write `#[activities]` on the `impl` block around it");
        return None;
    }
    let before = errors.fatal();
    let parameters = check::check(&signature, errors);
    if let (None, Some((_, context))) = (&body, &parameters.context) {
        errors.at(context, "a definition without a body lists the inputs alone; the context belongs to the body");
    }
    if body.is_some() {
        options.check_heartbeat(parameters.context.is_some(), errors);
    }
    let root = root::everloop(options.root.clone());
    let attributes = Attributes::of(&attributes);
    (errors.fatal() == before).then_some(Activity {
        root,
        attributes,
        visibility,
        signature,
        body,
        options,
        parameters,
    })
}

pub(crate) fn generate(activity: &Activity) -> TokenStream {
    let Activity { root, attributes, visibility, signature, body, options, parameters } = activity;
    let private = quote!(#root::__private);
    let name = &signature.ident;
    // In a module of its own: beside the function it would take the name of a user's `mod charge`.
    let module = format_ident!("__activity_{}", name.unraw(), span = proc_macro2::Span::mixed_site());
    let marker_type = quote!(#module::#name);
    let constructor = generate::constructor(&private, attributes, visibility, name, parameters, &marker_type);
    let marker_visibility = from_below(visibility);
    let blocking = body.is_some() && signature.asyncness.is_none();
    let implementation = generate::signature(&private, &[], name, options, parameters, blocking, &marker_type);
    let Attributes { cfgs, others, .. } = attributes;
    let body = body.as_ref().map(|body| {
        let executes = executes(&private, name, parameters, &marker_type);
        // As written, with all other attributes. It hides the constructor in this block only, so nobody else can run it.
        quote!(#(#others)* #signature #body #executes)
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
    let arguments = parameters.checked.passed_tuple();
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

/// The same visibility, written one module further down: a private input is no mistake of a private activity.
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
