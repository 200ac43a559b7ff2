//! `#[activities]` on an impl block: activities that share a value.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, Ident, ImplItem, ImplItemFn, ItemImpl, Path, Type, Visibility, parse_quote};

use super::check::{self, Parameters};
use super::generate::{self, Locals};
use super::options::ActivityOptions;
use crate::attributes::{Attributes, refuse_cfg_attr, take_ours};
use crate::diagnostics::Errors;
use crate::options::Options;
use crate::root;
use crate::signature::check_receiver;

/// A block as written, its `#[activity]` attributes taken off.
pub(crate) struct Written {
    root: Path,
    item: ItemImpl,
    /// Of each item of the block that has one.
    activities: Vec<(usize, Attribute)>,
}

/// A block of methods that can be activities.
pub(crate) struct Block {
    root: Path,
    /// The user's block, with the bodies under other names.
    item: ItemImpl,
    self_type: Path,
    activities: Vec<Activity>,
}

struct Activity {
    name: Ident,
    /// What the body is called now.
    body: Ident,
    visibility: Visibility,
    attributes: Attributes,
    options: ActivityOptions,
    parameters: Parameters,
}

const WHY_SHARED: &str = "its value is shared by all attempts, which run at the same time";

pub(crate) fn parse(options: TokenStream, item: TokenStream, errors: &Errors) -> Option<Written> {
    let mut options = Options::parse(options, errors);
    let root = root::everloop(options.crate_path());
    options.finish("#[activities]", &["crate"]);
    let Ok(mut item) = syn::parse2::<ItemImpl>(item.clone()) else {
        let first: TokenStream = item.into_iter().take(1).collect();
        errors.at(
            first,
            "`#[activities]` stands on an `impl` block: `#[activities] impl Payments { #[activity] async fn charge(&self, ..) .. }`",
        );
        return None;
    };
    let mut activities = Vec::new();
    for (index, member) in item.items.iter_mut().enumerate() {
        let ImplItem::Fn(method) = member else { continue };
        refuse_cfg_attr(&mut method.attrs, &["activity"], &root, errors);
        let mut taken = take_ours(&mut method.attrs, &["activity"], &root).into_iter().map(|(_, attribute)| attribute);
        activities.extend(taken.next().map(|first| (index, first)));
        for again in taken {
            errors.at(again, "`#[activity]` stands here twice; remove one");
        }
    }
    Some(Written { root, item, activities })
}

pub(crate) fn check(written: &Written, errors: &Errors) -> Option<Block> {
    let self_type = check_impl(&written.item, "#[activities]", errors);
    let before = errors.fatal();
    if written.activities.is_empty() {
        errors.at(&written.item.self_ty, "no activities in this block; write `#[activity]` on the methods that are");
    }
    let mut item = written.item.clone();
    let mut activities: Vec<Activity> = Vec::new();
    for (index, attribute) in &written.activities {
        let ImplItem::Fn(method) = &mut item.items[*index] else { continue };
        let Some(activity) = check_method(method, attribute, self_type.as_ref(), errors) else { continue };
        let twin = activities.iter().find(|other| other.wire_name() == activity.wire_name());
        if twin.is_some() && activity.attributes.cfgs.is_empty() {
            errors.at(
                &activity.name,
                format!(
                    "two activities are called `{}`; write `#[activity(name = \"..\")]` on one",
                    activity.wire_name()
                ),
            );
        }
        activities.push(activity);
    }
    let self_type = self_type?;
    (errors.fatal() == before).then(|| Block { root: written.root.clone(), item, self_type, activities })
}

/// The type of a block that may carry our attribute: a plain path, and no trait.
pub(crate) fn check_impl(item: &ItemImpl, attribute: &str, errors: &Errors) -> Option<Path> {
    let mut right = true;
    let mut wrong = |tokens: &dyn ToTokens, message: &str| {
        errors.at(tokens.to_token_stream(), message);
        right = false;
    };
    if let Some((path, _)) = &item.trait_ {
        wrong(
            path,
            &format!(
                "`{attribute}` stands on a block of the type's own methods, `impl Type {{ .. }}`; remove the trait"
            ),
        );
    }
    if !item.generics.params.is_empty() {
        wrong(&item.generics, &format!("`{attribute}` needs one type with one name on the wire; it cannot be generic"));
    }
    if let Some(clause) = &item.generics.where_clause {
        wrong(clause, &format!("`{attribute}` takes no generics, so `where` says nothing; remove it"));
    }
    if let Some(token) = &item.unsafety {
        wrong(token, "this block cannot be `unsafe`; remove it");
    }
    match &*item.self_ty {
        Type::Path(path) if path.qself.is_none() => {
            if let Some(segment) = path.path.segments.iter().find(|segment| !segment.arguments.is_none()) {
                wrong(
                    &segment.arguments,
                    &format!("`{attribute}` needs a type without parameters; it cannot be generic"),
                );
            }
            right.then(|| path.path.clone())
        }
        other => {
            wrong(other, &format!("`{attribute}` stands on the `impl` of a struct of yours: `impl Payments {{ .. }}`"));
            None
        }
    }
}

/// Checks a method and renames its body.
fn check_method(
    method: &mut ImplItemFn,
    attribute: &Attribute,
    self_type: Option<&Path>,
    errors: &Errors,
) -> Option<Activity> {
    let options = Options::of(attribute, errors);
    let mut options = ActivityOptions::read(options, errors);
    if let Some(path) = options.root.take() {
        errors.at(path, "`crate` is given once, on the block: `#[activities(crate = ..)]`");
    }
    let receives = check_receiver(&method.sig, "an activity of a block", WHY_SHARED, errors);
    let mut parameters = check::check(&method.sig, errors);
    options.check_heartbeat(parameters.context.is_some(), errors);
    if !receives {
        return None;
    }
    parameters.checked.spell_out_self(self_type?);
    let name = method.sig.ident.clone();
    let attributes = Attributes::of(&method.attrs);
    let visibility = match &method.vis {
        Visibility::Inherited => parse_quote!(pub), // as far as the type reaches
        written => written.clone(),
    };
    let body = format_ident!("__everloop_{}", name.unraw(), span = name.span());
    method.sig.ident = body.clone();
    method.vis = Visibility::Inherited;
    let Attributes { cfgs, others, .. } = &attributes;
    method.attrs = cfgs.iter().chain(others).cloned().chain([parse_quote!(#[doc(hidden)])]).collect();
    Some(Activity { name, body, visibility, attributes, options, parameters })
}

impl Activity {
    fn wire_name(&self) -> String {
        self.options.name.as_ref().map_or_else(|| self.name.unraw().to_string(), syn::LitStr::value)
    }
}

/// What the user wrote, without our attributes.
pub(crate) fn untouched(written: &Written) -> TokenStream {
    written.item.to_token_stream()
}

pub(crate) fn generate(block: &Block) -> TokenStream {
    let Block { root, item, self_type, activities } = block;
    let private = quote!(#root::__private);
    let markers = activities.iter().map(|activity| {
        let (name, cfgs) = (&activity.name, &activity.attributes.cfgs);
        quote!(#(#cfgs)* pub struct #name<Shared>(fn() -> Shared);)
    });
    let constructors = activities.iter().map(|activity| {
        let name = &activity.name;
        let marker = quote!(__activities::#name<#self_type>);
        generate::constructor(&private, &activity.attributes, &activity.visibility, name, &activity.parameters, &marker)
    });
    let implementations = activities.iter().map(|activity| implementation(&private, self_type, activity));
    let registrations = activities.iter().map(|activity| {
        let (name, cfgs) = (&activity.name, &activity.attributes.cfgs);
        quote!(#(#cfgs)* registry.method::<__activities::#name<#self_type>>(&shared);)
    });
    let cfgs = Attributes::of(&item.attrs).cfgs;
    quote! {
        #item

        #(#cfgs)*
        const _: () = {
            #[allow(unused_imports)]
            use #private::Plain as _;

            // A type for each activity, as visible as the type of the block. Outside a module of their own they would hide
            // modules of the user that the methods' types name.
            #[doc(hidden)]
            #[allow(non_camel_case_types, dead_code, unreachable_pub)]
            #[allow(missing_debug_implementations, missing_copy_implementations)]
            mod __activities {
                #(#markers)*
            }

            #[allow(dead_code, unreachable_pub)]
            impl #self_type {
                #(#constructors)*
            }

            #(#implementations)*

            impl #private::Activities for #self_type {
                fn register(self, registry: &mut #private::Registry) {
                    let shared = #private::Arc::new(self);
                    #(#registrations)*
                }
            }
        };
    }
}

/// `impl Activity` and `impl MethodActivity`.
fn implementation(private: &TokenStream, self_type: &Path, activity: &Activity) -> TokenStream {
    let Activity { name, body, attributes, options, parameters, .. } = activity;
    let cfgs = &attributes.cfgs;
    let marker = quote!(__activities::#name<#self_type>);
    let blocking = !parameters.checked.is_async;
    let signature = generate::signature(private, cfgs, name, options, parameters, blocking, &marker);
    let locals = Locals::new();
    let Locals { context, shared } = &locals;
    let arguments = parameters.checked.passed_tuple();
    let function = quote!(#self_type::#body);
    let execute = generate::execute(private, name, &function, Some(&quote!(&#shared,)), parameters, &locals);
    quote! {
        #signature

        #(#cfgs)*
        impl #private::MethodActivity for #marker {
            type Shared = #self_type;
            #[allow(unused_variables)]
            fn execute_activity(
                #shared: #private::Arc<#self_type>,
                #context: #private::ActivityContext,
                #arguments: Self::Args,
            ) -> #private::SendFuture<#private::Result<Self::Output, #private::ActivityError>> {
                #execute
            }
        }
    }
}
