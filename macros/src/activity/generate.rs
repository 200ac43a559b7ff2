//! Code common to functions and methods.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Attribute, Generics, Ident, Visibility};

use super::check::Parameters;
use super::options::ActivityOptions;
use crate::attributes::Attributes;
use crate::signature::{made_at, moved_to};

/// The annotated function as its callers see it: it creates a call.
pub(crate) fn constructor(
    private: &TokenStream,
    attributes: &Attributes,
    visibility: &Visibility,
    name: &Ident,
    parameters: &Parameters,
    activity: &TokenStream,
) -> TokenStream {
    let Attributes { docs, cfgs, deprecated, .. } = attributes;
    let (arguments, tuple) = (parameters.checked.parameters(), parameters.checked.tuple());
    quote! {
        #(#cfgs)* #(#docs)* #(#deprecated)*
        #[allow(clippy::too_many_arguments)]
        #[track_caller]
        #visibility fn #name(#arguments) -> #private::ActivityCall<#activity> {
            #private::ActivityCall::new(#tuple)
        }
    }
}

/// The type that stands for an activity, as its implementations name it.
pub(crate) struct Marker<'a> {
    pub(crate) ty: &'a TokenStream,
    /// Generics of the block around the activity.
    pub(crate) generics: &'a Generics,
    pub(crate) cfgs: &'a [Attribute],
}

/// `impl Activity`.
pub(crate) fn signature(
    private: &TokenStream,
    marker: &Marker<'_>,
    name: &Ident,
    options: &ActivityOptions,
    parameters: &Parameters,
    blocking: bool,
) -> TokenStream {
    let Marker { ty, generics, cfgs } = marker;
    let wire_name = match &options.name {
        Some(name) => quote!(#name),
        None => {
            let name = name.unraw().to_string();
            quote!(#name)
        }
    };
    let checked = &parameters.checked;
    let (arguments, codecs) = (checked.tuple_type(), checked.codecs(private));
    let (output, output_codec) = (checked.output_type(private), checked.output_codec(private));
    let auto_heartbeat = options.auto_heartbeat();
    let options = options.builder(private);
    // rustc reports a private type in a public signature on the whole item, so the item gets the span of the type.
    let place = checked.inputs.first().map_or(Span::mixed_site(), |input| made_at(&input.ty));
    let arguments = quote_spanned!(place=> type Args = #arguments;);
    let output = quote_spanned!(made_at(&checked.output)=> type Output = #output;);
    let error = checked.call_error_type(private);
    let error = quote_spanned!(made_at(&checked.output)=> type Error = #error;);
    let (impl_generics, _, clause) = generics.split_for_impl();
    quote! {
        #(#cfgs)*
        impl #impl_generics #private::Activity for #ty #clause {
            const NAME: &'static str = #wire_name;
            #arguments
            #output
            #error
            const ARGUMENTS: &'static dyn #private::Arguments<Self::Args> = #codecs;
            const OUTPUT: #private::Codec<Self::Output> = #output_codec;
            const OPTIONS: #private::ActivityOptions = #options;
            const BLOCKING: bool = #blocking;
            #auto_heartbeat
        }
    }
}

/// The body of `execute_activity`, with its parameters `args` and `context`: calls the user's function and settles the result. A
/// function with a mistake is not called.
pub(crate) fn execute(
    private: &TokenStream,
    name: &Ident,
    function: &TokenStream,
    receiver: Option<&TokenStream>,
    parameters: &Parameters,
    locals: &Locals,
) -> TokenStream {
    if !parameters.callable {
        return quote!(loop {});
    }
    let checked = &parameters.checked;
    let Locals { context, .. } = locals;
    let mut arguments: Vec<TokenStream> =
        checked.inputs.iter().map(|input| &input.passed).map(|it| quote!(#it)).collect();
    if let Some((index, refers_to)) = &parameters.context {
        // By type, so that rustc reports a `str`, which has no `Context`, at the user's `str`.
        let given = quote_spanned!(made_at(refers_to)=> <#refers_to as #private::Context>::context(&#context));
        arguments.insert(*index, given);
    }
    let mut call = quote_spanned!(name.span()=> #function(#receiver #(#arguments),*));
    if checked.is_async {
        call = quote!(#call.await);
    }
    let ending = quote!(#private::ActivityError);
    let settled = checked.settled(private, &checked.typed(private), &ending, &call);
    // rustc reports a future that cannot move between threads at the function's name.
    let place = Span::mixed_site().located_at(name.span());
    let private = moved_to(private, place);
    quote_spanned!(place=> #private::Box::pin(async move #settled))
}

/// Names of the parameters of `execute_activity`; hygiene keeps them apart from the user's.
pub(crate) struct Locals {
    pub(crate) context: Ident,
    pub(crate) shared: Ident,
}

impl Locals {
    pub(crate) fn new() -> Self {
        let local = |name| Ident::new(name, Span::mixed_site());
        Self { context: local("context"), shared: local("shared") }
    }
}
