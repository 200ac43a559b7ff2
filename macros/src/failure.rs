//! `#[derive(ActivityFailure)]`: an enum whose variants are sent from an activity to its caller.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Attribute, Data, DataEnum, DeriveInput, Ident, LitStr, Member, Path, Type, Variant as Written, parse_quote};

use crate::diagnostics::Errors;
use crate::options::{Options, WrittenDuration};
use crate::root;
use crate::signature::{MAXIMUM_INPUTS, made_at};

const VARIANT_KEYS: [&str; 4] = ["non_retryable", "next_retry_delay", "benign", "name"];

const DERIVE: &str = "`#[derive(ActivityFailure)]`";

/// A checked enum.
struct Failure {
    root: Path,
    name: Ident,
    variants: Vec<Variant>,
}

struct Variant {
    ident: Ident,
    /// The failure's type on the wire.
    name: String,
    non_retryable: bool,
    benign: bool,
    next_retry_delay: Option<WrittenDuration>,
    fields: Vec<VariantField>,
}

struct VariantField {
    member: Member,
    /// Its name in the generated code.
    local: Ident,
    ty: Type,
}

/// `#[derive(ActivityFailure)]`.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let errors = Errors::new();
    let output = match syn::parse2::<DeriveInput>(item) {
        Ok(item) => {
            let root = read_root(&item, &errors);
            Some(match check(&item, &root, &errors) {
                Some(failure) => generate(&failure),
                None => stub(&item, &root),
            })
        }
        Err(error) => {
            errors.push(error);
            None
        }
    };
    let errors = errors.into_tokens();
    quote!(#output #errors)
}

/// The path to everloop, by the options of the whole item.
fn read_root(item: &DeriveInput, errors: &Errors) -> Path {
    let mut given = None;
    for attribute in ours(&item.attrs) {
        let mut options = Options::of(attribute, errors);
        given = options.crate_path();
        for key in VARIANT_KEYS {
            options.elsewhere(key, "on a variant");
        }
        options.finish("#[failure] on an enum", &["crate"]);
    }
    root::everloop(given)
}

/// Returns `None` after a fatal mistake.
fn check(item: &DeriveInput, root: &Path, errors: &Errors) -> Option<Failure> {
    let Data::Enum(DataEnum { variants, .. }) = &item.data else {
        errors.at(
            &item.ident,
            format!("{DERIVE} stands on an enum, with a variant for each way to fail: `enum ChargeError {{ Declined {{ code: u32 }} }}`"),
        );
        return None;
    };
    let before = errors.count_fatal();
    if !item.generics.params.is_empty() {
        errors.at(&item.generics, "an error that travels has one type on the wire and cannot be generic");
    }
    if variants.is_empty() {
        errors.at(&item.ident, "an error needs a variant for each way to fail, and this enum has none");
    }
    let mut checked: Vec<Variant> = Vec::new();
    for variant in variants {
        let next = check_variant(variant, errors);
        if checked.iter().any(|other| other.name == next.name) {
            errors.at(
                &variant.ident,
                format!("two variants are called `{}`; write `#[failure(name = \"..\")]` on one", next.name),
            );
        }
        checked.push(next);
    }
    (errors.count_fatal() == before).then(|| Failure {
        root: root.clone(),
        name: item.ident.clone(),
        variants: checked,
    })
}

/// Implements the trait for an item with mistakes, so that they stay the only errors where it is used.
fn stub(item: &DeriveInput, root: &Path) -> TokenStream {
    let private = quote!(#root::__private);
    let name = &item.ident;
    let mut generics = item.generics.clone();
    if !generics.params.is_empty() {
        let bound = parse_quote!(Self: #private::fmt::Debug + ::core::marker::Send + 'static);
        generics.make_where_clause().predicates.push(bound);
    }
    let (impl_generics, parameters, clause) = generics.split_for_impl();
    quote! {
        const _: () = {
            impl #impl_generics #private::TypedFailure for #name #parameters #clause {
                fn into_parts(self) -> #private::FailureParts {
                    loop {}
                }

                fn from_parts(
                    _: &str,
                    _: &[#private::Payload],
                ) -> #private::Option<#private::Result<Self, #private::DecodeError>> {
                    loop {}
                }
            }
        };
    }
}

fn check_variant(variant: &Written, errors: &Errors) -> Variant {
    let (mut name, mut non_retryable, mut benign, mut next_retry_delay) = (None, false, false, None);
    for attribute in ours(&variant.attrs) {
        let mut options = Options::of(attribute, errors);
        name = options.name();
        non_retryable = options.flag("non_retryable");
        benign = options.flag("benign");
        next_retry_delay = options.duration("next_retry_delay");
        if let (true, Some(WrittenDuration { text, .. })) = (non_retryable, &next_retry_delay) {
            errors.minor(text, "a `non_retryable` error has no next attempt; leave out one of the two");
        }
        options.elsewhere("crate", "on the enum");
        options.finish("#[failure] on a variant", &VARIANT_KEYS);
    }
    let mut fields = Vec::new();
    for (index, (field, member)) in variant.fields.iter().zip(variant.fields.members()).enumerate() {
        for attribute in ours(&field.attrs) {
            errors.minor(attribute, "`#[failure(..)]` stands on a variant, not on a field; move it there");
        }
        if index == MAXIMUM_INPUTS {
            errors.at(
                field,
                format!("a variant has at most {MAXIMUM_INPUTS} fields; put them into one struct with names"),
            );
        }
        let local = format_ident!("field_{}", index + 1, span = Span::mixed_site());
        fields.push(VariantField { member, local, ty: field.ty.clone() });
    }
    let name = name.as_ref().map_or_else(|| variant.ident.unraw().to_string(), LitStr::value);
    Variant { ident: variant.ident.clone(), name, non_retryable, benign, next_retry_delay, fields }
}

fn ours(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("failure"))
}

fn generate(failure: &Failure) -> TokenStream {
    let Failure { root, name, variants } = failure;
    let private = quote!(#root::__private);
    let into_parts = variants.iter().map(|variant| {
        let Variant { ident, name, non_retryable, benign, next_retry_delay, fields } = variant;
        let (members, locals) = (fields.iter().map(|it| &it.member), locals(fields));
        let codecs = codecs(&private, fields);
        let bound = fields.iter().map(|it| &it.local);
        let benign = benign.then(|| quote!(.benign()));
        let delay = next_retry_delay.as_ref().map(|delay| {
            let delay = delay.tokens(&private);
            quote!(.next_retry_delay(#delay))
        });
        quote! {
            Self::#ident { #(#members: #bound),* } => {
                #private::FailureParts::new(#name, message, #non_retryable, #codecs, &#locals) #benign #delay
            }
        }
    });
    let from_parts = variants.iter().map(|variant| {
        let Variant { ident, name, fields, .. } = variant;
        let (members, locals) = (fields.iter().map(|it| &it.member), locals(fields));
        let codecs = codecs(&private, fields);
        let bound = fields.iter().map(|it| &it.local);
        quote! {
            #name => #private::Some(match #private::Arguments::decode(#codecs, details) {
                #private::Ok(#locals) => #private::Ok(Self::#ident { #(#members: #bound),* }),
                #private::Err(error) => #private::Err(error),
            }),
        }
    });
    // The bound of `Debug` is located at the name of the enum.
    let place = made_at(name);
    let implements = quote_spanned!(place=> #private::TypedFailure for #name);
    quote! {
        const _: () = {
            impl #implements {
                fn into_parts(self) -> #private::FailureParts {
                    #[allow(unused_imports)]
                    use #private::{SaidByDebug as _, SaidByDisplay as _};
                    let message = (&&#private::Said(&self)).said();
                    match self {
                        #(#into_parts)*
                    }
                }

                fn from_parts(
                    variant: &str,
                    details: &[#private::Payload],
                ) -> #private::Option<#private::Result<Self, #private::DecodeError>> {
                    match variant {
                        #(#from_parts)*
                        _ => #private::None,
                    }
                }
            }
        };
    }
}

/// `(field_1, field_2,)`, as a value or a pattern.
fn locals(fields: &[VariantField]) -> TokenStream {
    let locals = fields.iter().map(|it| &it.local);
    quote!((#(#locals,)*))
}

/// `&(codec::<A>("a"),)`, each at the field's type.
fn codecs(private: &TokenStream, fields: &[VariantField]) -> TokenStream {
    let codecs = fields.iter().map(|VariantField { member, ty, .. }| {
        let label = member.to_token_stream().to_string();
        let label = label.trim_start_matches("r#");
        quote_spanned!(made_at(ty)=> #private::codec::<#ty>(#label))
    });
    quote!(&(#(#codecs,)*))
}
