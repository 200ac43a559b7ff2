//! `#[workflow] impl`: the user's block with its `run` under another name, and the implementation of `Workflow`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Ident, Path, Visibility, parse_quote};

use super::check::{Handler, Init, Kind, Run, Validator, Workflow};
use super::handle;
use super::state::{handle_name, link_name};
use crate::attributes::Attributes;
use crate::determinism::mentions_our_macros;
use crate::impl_block::{Body, Method};
use crate::signature::{Checked, UNKNOWN, made_at};

pub(crate) fn generate(workflow: &Workflow) -> TokenStream {
    let Workflow { root, self_type, handlers, .. } = workflow;
    let private = quote!(#root::__private);
    let item = item(workflow, &private);
    let Some(name) = self_type.segments.last().map(|segment| &segment.ident) else { return item };
    let (handle, link) = (handle_name(name), with_last(self_type, link_name(name)));
    let unknown = unknown(workflow, &handle, &private);
    let messages = handlers.iter().filter_map(|handler| message(handler, &private));
    let messages = quote! {
        #[allow(non_upper_case_globals)]
        impl __Messages {
            #(#messages)*
        }
    };
    let messages = (!handlers.is_empty()).then(|| quote!(struct __Messages; #messages));
    let constructor = constructor(workflow, &private);
    let methods = handle::methods(handlers, &handle, &private);
    let implementation = implementation(workflow, &handle, &private);
    let cfgs = Attributes::of(&workflow.block.head.attrs).cfgs;
    quote! {
        #item

        #(#cfgs)*
        const _: () = {
            #[allow(unused_imports)]
            use #private::Plain as _;
            #[allow(unused_imports)]
            use #link as #handle;
            #unknown

            #constructor

            // One constant for each message, used by the handle and by the worker: its types are checked once. Associated,
            // because a constant in scope would turn the user's parameter of that name into a pattern.
            #messages

            #methods

            #implementation
        };
    }
}

/// The user's block. Handlers stay plain methods, for unit tests too.
fn item(workflow: &Workflow, private: &TokenStream) -> TokenStream {
    let mut block = workflow.block.clone();
    for handler in &workflow.handlers {
        if let Some(method) = block.method_mut(handler.index)
            && method.signature.asyncness.is_some()
        {
            prefer_our_macros(method, private);
        }
    }
    // A trait, which is a mistake, wants its methods under their names.
    let renamed = workflow.run.as_ref().filter(|_| block.head.trait_.is_none());
    if let Some(run) = renamed
        && let Some(method) = block.method_mut(run.index)
    {
        let Attributes { cfgs, others, .. } = &run.attributes;
        method.attrs = cfgs.iter().chain(others).cloned().chain([parse_quote!(#[doc(hidden)])]).collect();
        method.vis = Visibility::Inherited;
        method.signature.ident = body_name(&run.name);
        prefer_our_macros(method, private);
    }
    quote!(#block)
}

/// None of our items may be called `run` and take `self`: rustc would suggest it for `workflow.run(..)`.
fn body_name(name: &Ident) -> Ident {
    format_ident!("__everloop_{}", name.unraw(), span = name.span())
}

/// In a workflow, a bare `select!` or `join!` is ours, even if the file imports tokio's, whose order is random. An import in the
/// body itself takes precedence, and has been checked.
fn prefer_our_macros(method: &mut Method, private: &TokenStream) {
    if matches!(&method.body, Body::Unread(body) if mentions_our_macros(body.clone())) {
        method.body.precede(&quote! {
            #[allow(unused_imports)]
            use #private::{join, select};
        });
    }
}

/// The type of parts that are unknown because of a mistake. For a mistake that the struct reports, the handle has the type.
fn unknown(workflow: &Workflow, handle: &Ident, private: &TokenStream) -> Option<TokenStream> {
    let unknown = match &workflow.unknown {
        Some(unknown) => unknown.clone(),
        None if workflow.is_right => return None,
        None => quote!(<#handle as #private::Deref>::Target),
    };
    let name = Ident::new(UNKNOWN, Span::mixed_site());
    Some(quote! {
        #[allow(dead_code)]
        type #name = #unknown;
    })
}

/// `OneClickBuy::run(purchase)`: creates a call.
fn constructor(workflow: &Workflow, private: &TokenStream) -> Option<TokenStream> {
    let Workflow { self_type, run, generics, .. } = workflow;
    let (impl_generics, _, clause) = generics.split_for_impl();
    let constructor = match run {
        Some(Run { name, attributes, checked, .. }) => {
            let Attributes { docs, deprecated, .. } = attributes;
            let (parameters, tuple) = (checked.parameters(), checked.tuple());
            let docs = match docs.is_empty() {
                true => quote!(#[doc = " Calls the workflow: a client starts what this makes."]),
                false => quote!(#(#docs)*),
            };
            quote! {
                #docs #(#deprecated)*
                #[allow(clippy::too_many_arguments)]
                #[track_caller]
                pub fn #name(#parameters) -> #private::WorkflowCall<#self_type> {
                    #private::WorkflowCall::new(#tuple)
                }
            }
        }
        None => {
            let has_run = workflow.block.methods().any(|(_, method)| method.signature.ident == "run");
            let unknown = (!has_run).then(|| Ident::new(UNKNOWN, Span::mixed_site()))?;
            // Not a function: the compiler accepts any number of arguments to a value whose type is an error.
            quote! {
                #[allow(non_upper_case_globals)]
                pub const run: #unknown = loop {};
            }
        }
    };
    Some(quote! {
        #[allow(dead_code, unreachable_pub)]
        impl #impl_generics #self_type #clause {
            #constructor
        }
    })
}

fn message(handler: &Handler, private: &TokenStream) -> Option<TokenStream> {
    let Handler { name, wire_name, attributes, checked, kind, .. } = handler;
    let cfgs = &attributes.cfgs;
    let (arguments, codecs) = (checked.tuple_type(), checked.codecs(private));
    let (output, codec) = match kind {
        // Any result type; `settle_signal` checks it.
        Kind::Signal { .. } => (quote!(()), quote!(#private::codec("result"))),
        Kind::Query | Kind::Update { .. } => (checked.output_type(private), checked.output_codec(private)),
        Kind::Unclear => return None,
    };
    Some(quote! {
        #(#cfgs)*
        const #name: #private::Message<#arguments, #output> = #private::Message {
            name: #wire_name,
            arguments: #codecs,
            output: #codec,
        };
    })
}

/// Names of parameters of generated functions; hygiene keeps them apart from the user's.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

fn implementation(workflow: &Workflow, handle: &Ident, private: &TokenStream) -> TokenStream {
    let Workflow { self_type, generics, name, run, init, handlers, .. } = workflow;
    let signature = match run {
        Some(run) => signature(&run.checked, private),
        None => {
            let unknown = Ident::new(UNKNOWN, Span::mixed_site());
            quote! {
                type Args = ();
                type Output = #unknown;
                const ARGUMENTS: &'static dyn #private::Arguments<Self::Args> = &();
                const OUTPUT: #private::Codec<Self::Output> = loop {};
            }
        }
    };
    let new = new(init.as_ref(), workflow, private);
    let (value, passed, body) = execution(run.as_ref(), self_type, private);
    let registry = local("handlers");
    let called = handlers.iter().filter(|handler| handler.callable);
    let registrations = called.map(|handler| registration(handler, self_type, &registry, private));
    let (impl_generics, _, clause) = generics.split_for_impl();
    quote! {
        impl #impl_generics #private::Workflow for #self_type #clause {
            const NAME: &'static str = #name;
            #signature
            type Handle<__T: #private::Target> = #handle<__T>;

            #new

            #[allow(deprecated)]
            fn execute_workflow(
                #value: #private::Rc<Self>,
                #passed: Self::Args,
            ) -> #private::LocalFuture<#private::Result<Self::Output, #private::WorkflowError>> {
                #body
            }

            #[allow(unused_variables, deprecated)]
            fn handlers(#registry: &mut #private::Handlers<Self>) {
                #(#registrations)*
            }
        }
    }
}

/// The items of the implementation about inputs and output.
fn signature(checked: &Checked, private: &TokenStream) -> TokenStream {
    let (arguments, codecs) = (checked.tuple_type(), checked.codecs(private));
    let (output, output_codec) = (checked.output_type(private), checked.output_codec(private));
    // rustc reports a private type in a public signature on the whole item, so the item gets the span of the type.
    let place = checked.inputs.first().map_or(Span::mixed_site(), |input| made_at(&input.ty));
    let arguments = quote_spanned!(place=> type Args = #arguments;);
    let output = quote_spanned!(made_at(&checked.output)=> type Output = #output;);
    quote! {
        #arguments
        #output
        const ARGUMENTS: &'static dyn #private::Arguments<Self::Args> = #codecs;
        const OUTPUT: #private::Codec<Self::Output> = #output_codec;
    }
}

/// The parameters and the body of `execute_workflow`.
fn execution(run: Option<&Run>, self_type: &Path, private: &TokenStream) -> (Ident, TokenStream, TokenStream) {
    let value = local("workflow");
    let Some(run) = run.filter(|run| run.callable) else {
        return (value, quote!(_), quote!(loop {}));
    };
    let checked = &run.checked;
    let body = body_name(&run.name);
    let call = call(self_type, &body, &value, checked);
    let settled = checked.settled(private, &quote!(false), &quote!(#private::WorkflowError), &call);
    (value, checked.passed_tuple(), quote!(#private::Box::pin(async move #settled)))
}

fn new(init: Option<&Init>, workflow: &Workflow, private: &TokenStream) -> TokenStream {
    let self_type = &workflow.self_type;
    let inputs = local("inputs");
    let (unused, body) = match init {
        None if !workflow.is_right => (Some(quote!(#[allow(unused_variables)])), quote!(loop {})),
        None => {
            // rustc reports a missing `Default` at the type of the block.
            let state = quote_spanned!(made_at(self_type)=> <#self_type as #private::InitialState>::initial_state());
            (Some(quote!(#[allow(unused_variables)])), quote!(#private::Ok(#state)))
        }
        Some(Init { callable: false, .. }) => (Some(quote!(#[allow(unused_variables)])), quote!(loop {})),
        Some(Init { name, inputs: parameters, .. }) => {
            let passed: Vec<&Ident> = parameters.iter().map(|input| &input.passed).collect();
            let made = quote_spanned!(made_at(name)=> #self_type::#name(#(#passed),*));
            let body = quote! {
                let (#(#passed,)*) = <Self as #private::Workflow>::ARGUMENTS.decode(#inputs)?;
                #private::Ok(#made)
            };
            (None, body)
        }
    };
    quote! {
        #unused
        fn new(#inputs: &[#private::Payload]) -> #private::Result<Self, #private::DecodeError> {
            #body
        }
    }
}

/// The user's method on the shared value. By path, never `workflow.method(..)`: a handler named `clone` would be `Rc`'s.
fn call(self_type: &Path, method: &Ident, value: &Ident, checked: &Checked) -> TokenStream {
    let passed = checked.inputs.iter().map(|input| &input.passed);
    let awaited = checked.is_async.then(|| quote!(.await));
    quote_spanned!(made_at(method)=> #self_type::#method(&#value, #(#passed),*) #awaited)
}

/// One line of `Workflow::handlers`. Its closures capture nothing.
fn registration(handler: &Handler, self_type: &Path, registry: &Ident, private: &TokenStream) -> TokenStream {
    let Handler { name, attributes, checked, kind, .. } = handler;
    let cfgs = &attributes.cfgs;
    let (value, passed) = (local("workflow"), checked.passed_tuple());
    let call = call(self_type, name, &value, checked);
    let ending = quote!(#private::WorkflowError);
    let policy = |unfinished: &str| {
        let variant = Ident::new(unfinished, Span::mixed_site());
        quote!(#private::UnfinishedPolicy::#variant)
    };
    match kind {
        Kind::Signal { unfinished } => {
            let (policy, settled) = (policy(unfinished), checked.settled_nothing(private, &call));
            quote! {
                #(#cfgs)*
                #registry.signal(__Messages::#name, #policy, |#value, #passed| #private::Box::pin(async move #settled));
            }
        }
        Kind::Query => {
            let settled = checked.settled(private, &quote!(false), &ending, &call);
            quote! {
                #(#cfgs)*
                #registry.query(__Messages::#name, |#value, #passed| #settled);
            }
        }
        Kind::Unclear => TokenStream::new(),
        Kind::Update { unfinished, validator } => {
            let (policy, settled) = (policy(unfinished), checked.settled(private, &quote!(false), &ending, &call));
            let validator = match validator {
                Some(validator) => validating(validator, self_type, checked, private),
                None => quote!(#private::None),
            };
            quote! {
                #(#cfgs)*
                #registry.update(
                    __Messages::#name,
                    #policy,
                    #validator,
                    |#value, #passed| #private::Box::pin(async move #settled),
                );
            }
        }
    }
}

fn validating(validator: &Validator, self_type: &Path, update: &Checked, private: &TokenStream) -> TokenStream {
    let value = local("workflow");
    let (name, passed) = (&validator.name, update.passed_tuple());
    let arguments = update.inputs.iter().map(|input| &input.passed);
    let call = quote_spanned!(made_at(name)=> #self_type::#name(#value, #(#arguments),*));
    let settled = validator.checked.settled(private, &quote!(false), &quote!(#private::WorkflowError), &call);
    quote!(#private::Some(|#value, #passed| #settled))
}

/// Returns the path with another last segment.
fn with_last(path: &Path, last: Ident) -> Path {
    let mut path = path.clone();
    if let Some(segment) = path.segments.last_mut() {
        *segment = last.into();
    }
    path
}
