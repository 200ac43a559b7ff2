//! The methods of a workflow's typed handle, one for each handler.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Ident;

use super::check::{Handler, Kind};
use crate::attributes::Attributes;
use crate::signature::UNKNOWN;

pub(crate) fn methods(handlers: &[Handler], handle: &Ident, private: &TokenStream) -> Option<TokenStream> {
    let methods = handlers.iter().map(|handler| method(handler, private));
    (!handlers.is_empty()).then(|| {
        quote! {
            #[allow(dead_code, unreachable_pub)]
            impl<__T: #private::Target> #handle<__T> {
                #(#methods)*
            }
        }
    })
}

/// Bounds are on the method, not on the block: then the message of an unmet one is ours.
fn method(handler: &Handler, private: &TokenStream) -> TokenStream {
    let Handler { name, wire_name, attributes, checked, kind, signature, .. } = handler;
    let Attributes { docs, cfgs, deprecated, .. } = attributes;
    let output = checked.output_type(private);
    let (verb, call, answer, bound) = match kind {
        Kind::Signal { .. } => ("Sends the signal", quote!(SignalCall), quote!(__T), None),
        Kind::Query => ("Asks the query", quote!(QueryCall), output, Some(quote!(where __T: #private::Queries))),
        Kind::Update { .. } => {
            ("Sends the update", quote!(UpdateCall), output, Some(quote!(where __T: #private::Updates)))
        }
        Kind::Unclear => {
            let (parameters, unknown) = (checked.parameters(), Ident::new(UNKNOWN, Span::mixed_site()));
            return quote! {
                #(#cfgs)*
                pub fn #name(&self, #parameters) -> #unknown {
                    loop {}
                }
            };
        }
    };
    let gap = (!docs.is_empty()).then(|| quote!(#[doc = ""]));
    // The generated signature would show `QueryCall<ReturnsOf<..>>`, which is not helpful.
    let what = format!(" {verb} `{wire_name}`: `{signature}`.");
    let (parameters, tuple) = (checked.parameters(), checked.tuple());
    quote! {
        #(#cfgs)*
        #(#docs)*
        #gap
        #[doc = #what]
        #(#deprecated)*
        #[allow(clippy::too_many_arguments)]
        pub fn #name(&self, #parameters) -> #private::#call<#answer> #bound {
            #private::#call::new(self, __Messages::#name, #tuple)
        }
    }
}
