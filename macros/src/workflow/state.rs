//! `#[workflow]` on the struct: the item itself, and its handle type, because only here its visibility is known.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Ident, ItemStruct, Path};

use crate::attributes::Attributes;
use crate::diagnostics::Errors;
use crate::options::Options;
use crate::root;

/// A struct that can be a workflow.
pub(crate) struct State<'a> {
    root: Path,
    item: &'a ItemStruct,
}

pub(crate) fn check<'a>(mut options: Options<'_>, item: &'a ItemStruct, errors: &Errors) -> Option<State<'a>> {
    let root = root::everloop(options.crate_path());
    options.elsewhere("name", "on the `impl` block, `#[workflow(name = \"..\")] impl ..`");
    options.not_yet("versioning", "leave it out");
    options.finish("#[workflow] struct", &["crate"]);
    let before = errors.fatal();
    if !item.generics.params.is_empty() {
        errors.at(
            &item.generics,
            "a workflow has one name on the wire and cannot be generic; write the types it is used with",
        );
    }
    if let Some(clause) = &item.generics.where_clause {
        errors.at(clause, "a workflow has no generics, so `where` says nothing; remove it");
    }
    (errors.fatal() == before).then_some(State { root, item })
}

/// What the handle of `OneClickBuy` is called.
pub(crate) fn handle_name(workflow: &Ident) -> Ident {
    format_ident!("{workflow}Handle", span = workflow.span())
}

/// The name by which the block finds the handle. It appears in messages only: when the struct has no `#[workflow]`.
pub(crate) fn link_name(workflow: &Ident) -> Ident {
    format_ident!("{workflow}_needs_workflow_on_its_struct", span = workflow.span())
}

pub(crate) fn generate(state: &State<'_>) -> TokenStream {
    let State { root, item } = state;
    let (private, visibility, name) = (quote!(#root::__private), &item.vis, &item.ident);
    let (handle, link) = (handle_name(name), link_name(name));
    let doc = format!(
        " Reaches one run of [`{name}`]: signals, queries and updates as methods, and all of `WorkflowHandle`."
    );
    let cfgs = Attributes::of(&item.attrs).cfgs;
    quote! {
        #item

        #(#cfgs)*
        #[doc = #doc]
        #visibility struct #handle<T: #private::Target = #private::Client>(#private::WorkflowHandle<#name, T>);

        #(#cfgs)*
        #[doc(hidden)]
        #[allow(unused_imports, non_camel_case_types, unreachable_pub)]
        #visibility use #handle as #link;

        #(#cfgs)*
        const _: () = {
            impl<T: #private::Target> #private::Deref for #handle<T> {
                type Target = #private::WorkflowHandle<#name, T>;
                fn deref(&self) -> &Self::Target {
                    &self.0
                }
            }

            impl<T: #private::Target> #private::From<#private::WorkflowHandle<#name, T>> for #handle<T> {
                fn from(untyped: #private::WorkflowHandle<#name, T>) -> Self {
                    #handle(untyped)
                }
            }

            impl<T: #private::Target> #private::fmt::Debug for #handle<T> {
                fn fmt(&self, f: &mut #private::fmt::Formatter<'_>) -> #private::fmt::Result {
                    #private::fmt::Debug::fmt(&self.0, f)
                }
            }

            impl<T: #private::Target> #private::Clone for #handle<T> {
                fn clone(&self) -> Self {
                    #handle(#private::Clone::clone(&self.0))
                }
            }
        };
    }
}
