//! `#[workflow]` on the struct: the item itself, and its handle type, because only here its visibility is known.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, Generics, Ident, Item, Path, Visibility};

use crate::attributes::Attributes;
use crate::diagnostics::Errors;
use crate::options::Options;
use crate::root;

/// A struct that is a workflow, or a type whose mistake has been reported.
pub(crate) struct State<'a> {
    root: Path,
    item: &'a Item,
    cfgs: Vec<Attribute>,
    visibility: &'a Visibility,
    name: &'a Ident,
    /// The stand-in for the workflow's type if that has parameters.
    unknown: Option<TokenStream>,
}

/// `None` if the item is no type. An enum gets a handle, too, so that its mistake stays the only error.
pub(crate) fn check<'a>(mut options: Options<'_>, item: &'a Item, errors: &Errors) -> Option<State<'a>> {
    let root = root::everloop(options.crate_path());
    let (attributes, visibility, name, generics) = match item {
        Item::Struct(item) => (&item.attrs, &item.vis, &item.ident, &item.generics),
        Item::Enum(item) => (&item.attrs, &item.vis, &item.ident, &item.generics),
        Item::Union(item) => (&item.attrs, &item.vis, &item.ident, &item.generics),
        _ => {
            options.finish("#[workflow]", &["name", "crate"]);
            return None;
        }
    };
    options.elsewhere("name", "on the `impl` block, `#[workflow(name = \"..\")] impl ..`");
    options.not_yet("versioning", "leave it out");
    options.finish("#[workflow] struct", &["crate"]);
    let unknown = refuse_generics(generics, &root, errors);
    Some(State { root, item, cfgs: Attributes::of(attributes).cfgs, visibility, name, unknown })
}

/// Returns the stand-in for the type if it has parameters.
fn refuse_generics(generics: &Generics, root: &Path, errors: &Errors) -> Option<TokenStream> {
    if let Some(clause) = &generics.where_clause {
        errors.minor(clause, "a workflow has no generics, so `where` says nothing; remove it");
    }
    if generics.params.is_empty() {
        return None;
    }
    errors.at(generics, "a workflow has one name on the wire and cannot be generic; write the types it is used with");
    errors.unknown_type(root)
}

/// The name of the handle of `OneClickBuy`.
pub(crate) fn handle_name(workflow: &Ident) -> Ident {
    format_ident!("{workflow}Handle", span = workflow.span())
}

/// The name by which the block finds the handle. Users see the name only in messages, if the struct has no `#[workflow]`.
pub(crate) fn link_name(workflow: &Ident) -> Ident {
    format_ident!("{workflow}_needs_workflow_on_its_struct", span = workflow.span())
}

pub(crate) fn generate(state: &State<'_>) -> TokenStream {
    let State { root, item, cfgs, visibility, name, unknown } = state;
    let private = quote!(#root::__private);
    let (handle, link) = (handle_name(name), link_name(name));
    let doc = format!(
        " Reaches one run of [`{name}`]: signals, queries and updates as methods, and all of `WorkflowHandle`."
    );
    let workflow = unknown.clone().unwrap_or_else(|| quote!(#name));
    let derefs = match unknown {
        None => quote! {
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
        },
        Some(unknown) => quote! {
            impl<T: #private::Target> #private::Deref for #handle<T> {
                type Target = #unknown;
                fn deref(&self) -> &Self::Target {
                    loop {}
                }
            }

            impl<W, T: #private::Target> #private::From<#private::WorkflowHandle<W, T>> for #handle<T> {
                fn from(_: #private::WorkflowHandle<W, T>) -> Self {
                    loop {}
                }
            }
        },
    };
    quote! {
        #item

        #(#cfgs)*
        #[doc = #doc]
        #[allow(non_camel_case_types)]
        #visibility struct #handle<T: #private::Target = #private::Client>(#private::WorkflowHandle<#workflow, T>);

        #(#cfgs)*
        #[doc(hidden)]
        #[allow(unused_imports, non_camel_case_types, unreachable_pub)]
        #visibility use #handle as #link;

        #(#cfgs)*
        const _: () = {
            #derefs

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
