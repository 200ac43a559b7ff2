//! `#[activities]` on an impl block: activities that share a value.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Generics, Ident, ItemImpl, Path, Type, Visibility, parse_quote};

use super::check::{self, Parameters};
use super::generate::{self, Locals, Marker};
use super::options::ActivityOptions;
use crate::attributes::{Attributes, refuse_cfg_attr, take_ours};
use crate::diagnostics::Errors;
use crate::impl_block::{self, ImplBlock, Method};
use crate::options::Options;
use crate::root;
use crate::signature::{UNKNOWN, check_receiver};

/// A block as written, without its `#[activity]` attributes.
pub(crate) struct WrittenBlock {
    root: Path,
    block: ImplBlock,
    activities: Vec<MarkedMethod>,
}

/// A method with `#[activity]`.
struct MarkedMethod {
    /// Its index among the members of the block.
    index: usize,
    options: ActivityOptions,
}

/// A block of methods that are activities, possibly with mistakes.
pub(crate) struct Block {
    root: Path,
    /// The user's block, with the bodies under other names.
    block: ImplBlock,
    self_type: Path,
    /// Generics of the generated items: those of the block, which are a mistake.
    generics: Generics,
    activities: Vec<CheckedMethod>,
    /// The first mistake, as a type.
    unknown: Option<TokenStream>,
}

struct CheckedMethod {
    name: Ident,
    /// The name of the body.
    body: Ident,
    visibility: Visibility,
    attributes: Attributes,
    options: ActivityOptions,
    parameters: Parameters,
}

const WHY_SHARED: &str = "its value is shared by all attempts, which run at the same time";

pub(crate) fn parse(options: TokenStream, item: TokenStream, errors: &Errors) -> Option<WrittenBlock> {
    let mut options = Options::parse(options, errors);
    let root = root::everloop(options.crate_path());
    options.finish("#[activities]", &["crate"]);
    if !impl_block::is_impl(&item) {
        let first: TokenStream = item.into_iter().take(1).collect();
        errors.at(
            first,
            "`#[activities]` stands on an `impl` block: `#[activities] impl Payments { #[activity] async fn charge(&self, ..) .. }`",
        );
        return None;
    }
    let mut block = ImplBlock::parse(item).map_err(|error| errors.push(error)).ok()?;
    let mut activities = Vec::new();
    for (index, method) in block.methods_mut() {
        errors.fatal_if(method.syntax_error());
        refuse_cfg_attr(&mut method.attrs, &["activity"], &root, errors);
        let mut taken = take_ours(&mut method.attrs, &["activity"], &root).into_iter().map(|(_, attribute)| attribute);
        if let Some(attribute) = taken.next() {
            let mut options = ActivityOptions::read(Options::of(&attribute, errors), errors);
            if let Some(path) = options.root.take() {
                errors.minor(path, "`crate` is given once, on the block: `#[activities(crate = ..)]`");
            }
            activities.push(MarkedMethod { index, options });
        }
        for again in taken {
            errors.minor(again, "`#[activity]` stands here twice; remove one");
        }
    }
    Some(WrittenBlock { root, block, activities })
}

/// Returns `None` if nothing can be generated: the block is not that of a struct.
pub(crate) fn check(written: &WrittenBlock, errors: &Errors) -> Option<Block> {
    let mut block = written.block.clone();
    let self_type = check_impl(&block.head, "#[activities]", errors);
    let mut marked: Vec<_> = written.activities.iter().map(|it| (it.index, it.options.clone())).collect();
    if marked.is_empty() {
        errors.at(&block.head.self_ty, "no activities in this block; write `#[activity]` on the methods that are");
        marked = probable_activities(&block);
    }
    let self_type = self_type?;
    let generics = self_type.generics(&block.head);
    let mut activities: Vec<CheckedMethod> = Vec::new();
    for (index, options) in marked {
        let (block_generics, of_trait) = (block.head.generics.clone(), block.head.trait_.is_some());
        let Some(method) = block.method_mut(index) else { continue };
        let mut activity = check_method(method, options, of_trait, errors);
        activity.parameters.checked.spell_out_self(&self_type.path);
        let unknown = Ident::new(UNKNOWN, Span::mixed_site()).into_token_stream();
        activity
            .parameters
            .checked
            .replace_unknown_types(&unknown, [&method.signature.generics, &block_generics].into_iter());
        activity.parameters.callable &= self_type.is_right;
        let twin = activities.iter().find(|other| other.wire_name() == activity.wire_name());
        if twin.is_some() && activity.attributes.cfgs.is_empty() {
            errors.minor(
                &activity.name,
                format!(
                    "two activities are called `{}`; write `#[activity(name = \"..\")]` on one",
                    activity.wire_name()
                ),
            );
        }
        if twin.is_some_and(|twin| twin.name == activity.name) {
            continue;
        }
        activities.push(activity);
    }
    // After all checks, so that it is the first mistake of any of them.
    let unknown = errors.unknown_type(&written.root);
    if let Some(unknown) = &unknown {
        block.finish(unknown);
    }
    Some(Block { root: written.root.clone(), block, self_type: self_type.path, generics, activities, unknown })
}

/// Returns the methods that were probably meant, in a block without marked methods.
fn probable_activities(block: &ImplBlock) -> Vec<(usize, ActivityOptions)> {
    let meant = block
        .methods()
        .filter(|(_, method)| method.signature.asyncness.is_some() && method.signature.receiver().is_some());
    meant.map(|(index, _)| (index, ActivityOptions::default())).collect()
}

/// The type of a block that carries our attribute.
pub(crate) struct SelfType {
    pub(crate) path: Path,
    /// Whether it is a plain path, and the block implements no trait.
    pub(crate) is_right: bool,
}

impl SelfType {
    /// The parameters of generated `impl` blocks, for a block that has some.
    pub(crate) fn generics(&self, head: &ItemImpl) -> Generics {
        let path = &self.path;
        let mut generics = Generics::default();
        if !head.generics.params.is_empty() {
            generics = head.generics.clone();
            generics.make_where_clause().predicates.push(parse_quote!(#path: 'static));
        }
        generics
    }
}

/// Checks that the block's type is a plain path, and that the block implements no trait. Returns `None` if it is no path.
///
/// For a workflow, its struct reports that it is generic.
pub(crate) fn check_impl(item: &ItemImpl, attribute: &str, errors: &Errors) -> Option<SelfType> {
    let mut is_right = true;
    if let Some((path, _)) = &item.trait_ {
        is_right = false;
        errors.at(
            path,
            format!(
                "`{attribute}` stands on a block of the type's own methods, `impl Type {{ .. }}`; remove the trait"
            ),
        );
    }
    if let Some(clause) = &item.generics.where_clause {
        errors.minor(clause, format!("`{attribute}` takes no generics, so `where` says nothing; remove it"));
    }
    if let Some(token) = &item.unsafety {
        errors.minor(token, "this block cannot be `unsafe`; remove it");
    }
    let path = match &*item.self_ty {
        Type::Path(path) if path.qself.is_none() => path.path.clone(),
        other => {
            errors.at(
                other,
                format!("`{attribute}` stands on the `impl` of a struct of yours: `impl Payments {{ .. }}`"),
            );
            return None;
        }
    };
    let arguments = path.segments.iter().map(|segment| &segment.arguments).find(|arguments| !arguments.is_none());
    let generics = match (item.generics.params.is_empty(), arguments) {
        (true, None) => return Some(SelfType { path, is_right }),
        (true, Some(arguments)) => arguments.to_token_stream(),
        (false, _) => item.generics.to_token_stream(),
    };
    if attribute != "#[workflow]" {
        errors.at(generics, format!("`{attribute}` needs one type with one name on the wire; it cannot be generic"));
    }
    Some(SelfType { path, is_right: false })
}

/// Checks a method and renames its body.
fn check_method(method: &mut Method, options: ActivityOptions, of_trait: bool, errors: &Errors) -> CheckedMethod {
    let before = errors.count_fatal();
    check_receiver(&method.signature, "an activity of a block", WHY_SHARED, errors);
    let mut parameters = check::check(&method.signature, errors);
    parameters.callable = errors.count_fatal() == before && method.syntax_error().is_none();
    options.check_heartbeat(parameters.context.is_some(), parameters.checked.is_async, errors);
    let name = method.signature.ident.clone();
    let attributes = Attributes::of(&method.attrs);
    let visibility = match &method.vis {
        Visibility::Inherited => parse_quote!(pub), // as far as the type reaches
        written => written.clone(),
    };
    let body = format_ident!("__everloop_{}", name.unraw(), span = name.span());
    // A trait, which is a mistake, wants its methods under their names.
    if !of_trait {
        method.signature.ident = body.clone();
    }
    method.vis = Visibility::Inherited;
    let Attributes { cfgs, others, .. } = &attributes;
    method.attrs = cfgs.iter().chain(others).cloned().chain([parse_quote!(#[doc(hidden)])]).collect();
    CheckedMethod { name, body, visibility, attributes, options, parameters }
}

impl CheckedMethod {
    fn wire_name(&self) -> String {
        self.options.name.as_ref().map_or_else(|| self.name.unraw().to_string(), syn::LitStr::value)
    }
}

/// The block as written, without our attributes.
pub(crate) fn untouched(written: &WrittenBlock) -> TokenStream {
    written.block.to_token_stream()
}

pub(crate) fn generate(block: &Block) -> TokenStream {
    let Block { root, block, self_type, generics, activities, unknown } = block;
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
    let implementations = activities.iter().map(|activity| implementation(&private, self_type, generics, activity));
    let registrations = activities.iter().map(|activity| {
        let (name, cfgs) = (&activity.name, &activity.attributes.cfgs);
        quote!(#(#cfgs)* registry.method::<__activities::#name<#self_type>>(&shared);)
    });
    let unknown = unknown.as_ref().map(|unknown| {
        let name = Ident::new(UNKNOWN, Span::mixed_site());
        quote! {
            #[allow(dead_code)]
            type #name = #unknown;
        }
    });
    let (impl_generics, _, clause) = generics.split_for_impl();
    let cfgs = Attributes::of(&block.head.attrs).cfgs;
    quote! {
        #block

        #(#cfgs)*
        const _: () = {
            #[allow(unused_imports)]
            use #private::Plain as _;
            #unknown

            // A type for each activity, as visible as the type of the block. The types have a module of their own, because they
            // would otherwise hide modules of the user that the methods' types name.
            #[doc(hidden)]
            #[allow(non_camel_case_types, dead_code, unreachable_pub)]
            #[allow(missing_debug_implementations, missing_copy_implementations)]
            mod __activities {
                #(#markers)*
            }

            #[allow(dead_code, unreachable_pub)]
            impl #impl_generics #self_type #clause {
                #(#constructors)*
            }

            #(#implementations)*

            impl #impl_generics #private::Activities for #self_type #clause {
                fn register(self, registry: &mut #private::Registry) {
                    let shared = #private::Arc::new(self);
                    #(#registrations)*
                }
            }
        };
    }
}

/// `impl Activity` and `impl MethodActivity`.
fn implementation(
    private: &TokenStream,
    self_type: &Path,
    generics: &Generics,
    activity: &CheckedMethod,
) -> TokenStream {
    let CheckedMethod { name, body, attributes, options, parameters, .. } = activity;
    let cfgs = &attributes.cfgs;
    let ty = quote!(__activities::#name<#self_type>);
    let blocking = !parameters.checked.is_async;
    let marker = Marker { ty: &ty, generics, cfgs };
    let signature = generate::signature(private, &marker, name, options, parameters, blocking);
    let locals = Locals::new();
    let Locals { context, shared } = &locals;
    let arguments = parameters.passed_tuple();
    let function = quote!(#self_type::#body);
    let execute = generate::execute(private, name, &function, Some(&quote!(&#shared,)), parameters, &locals);
    let (impl_generics, _, clause) = generics.split_for_impl();
    quote! {
        #signature

        #(#cfgs)*
        impl #impl_generics #private::MethodActivity for #ty #clause {
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
