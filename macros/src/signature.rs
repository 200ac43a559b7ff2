//! Signatures of handlers and activities: which are allowed, and what they mean.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::visit_mut::{self, VisitMut};
use syn::{
    FnArg, GenericArgument, GenericParam, Generics, Ident, Pat, PatType, Path, PathArguments, Receiver, ReceiverKind,
    ReturnType, Safety, Signature, Type, TypeImplTrait, TypeReference, parse_quote_spanned,
};

use crate::diagnostics::Errors;
use crate::impl_block::UNFINISHED;

/// The maximum number of inputs for which `Arguments` is implemented.
pub(crate) const MAXIMUM_INPUTS: usize = 8;

/// The name of [`Errors::unknown_type`] among the generated items.
pub(crate) const UNKNOWN: &str = "__Unknown";

/// One input: a parameter that is serialized.
pub(crate) struct Input {
    /// Its name in the caller's function: the user's own, if there is one.
    pub(crate) name: Ident,
    /// Its name in the code that calls the body: it shadows nothing and is not shadowed.
    pub(crate) passed: Ident,
    pub(crate) ty: Type,
    /// Whether its type may be used in generated code.
    known: bool,
}

impl Input {
    /// `name` from the user's pattern, `index` counted from 0.
    fn new(parameter: &PatType, index: usize, known: bool) -> Self {
        let span = Span::mixed_site().located_at(parameter.ty.span());
        let passed = format_ident!("argument_{}", index + 1, span = span);
        let name = match &*parameter.pat {
            Pat::Ident(pattern) => pattern.ident.clone(),
            _ => passed.clone(),
        };
        Self { name, passed, ty: (*parameter.ty).clone(), known }
    }

    /// Its name in messages and tools.
    pub(crate) fn label(&self) -> String {
        self.name.unraw().to_string().trim_start_matches('_').to_owned()
    }
}

/// The inputs and the output of a body, checked.
pub(crate) struct Checked {
    pub(crate) is_async: bool,
    pub(crate) inputs: Vec<Input>,
    /// `()` if none is written.
    pub(crate) output: Type,
    /// Whether that type may be used in generated code.
    output_known: bool,
}

impl Checked {
    /// The inputs for which `Arguments` is implemented; further ones are a mistake.
    fn sent(&self) -> impl Iterator<Item = &Input> {
        self.inputs.iter().take(MAXIMUM_INPUTS)
    }

    /// `(A, B,)`.
    pub(crate) fn tuple_type(&self) -> TokenStream {
        let types = self.sent().map(|input| &input.ty);
        quote!((#(#types,)*))
    }

    /// `(a, b,)` with the user's names.
    pub(crate) fn tuple(&self) -> TokenStream {
        let names = self.sent().map(|input| &input.name);
        let mut unsent = self.inputs.iter().skip(MAXIMUM_INPUTS).map(|input| &input.name).peekable();
        match unsent.peek() {
            None => quote!((#(#names,)*)),
            Some(_) => quote!({
                let _ = (#(#unsent,)*);
                (#(#names,)*)
            }),
        }
    }

    /// `(a, b,)` as a pattern or a value of the code that calls the body.
    pub(crate) fn passed_tuple(&self) -> TokenStream {
        let names = self.sent().map(|input| &input.passed);
        quote!((#(#names,)*))
    }

    /// `a: A, b: B` with the user's names.
    pub(crate) fn parameters(&self) -> TokenStream {
        let parameters = self.inputs.iter().map(|Input { name, ty, .. }| quote!(#name: #ty));
        quote!(#(#parameters),*)
    }

    /// `&(codec::<A>("a"),)`: the only place where each input type is checked, with the span of the user's type.
    pub(crate) fn codecs(&self, private: &TokenStream) -> TokenStream {
        let codecs = self.sent().map(|input| {
            let (ty, label) = (&input.ty, input.label());
            let codec = if is_called_context(ty) { "context_codec" } else { "codec" };
            let codec = Ident::new(codec, made_at(ty));
            quote_spanned!(made_at(ty)=> #private::#codec::<#ty>(#label))
        });
        quote!(&(#(#codecs,)*))
    }

    /// The type that the caller gets.
    pub(crate) fn output_type(&self, private: &TokenStream) -> TokenStream {
        let (output, fallible) = (&self.output, self.fallible(private));
        quote_spanned!(made_at(output)=> #private::ReturnsOf<#output, #fallible>)
    }

    /// The only place where the output type is checked.
    pub(crate) fn output_codec(&self, private: &TokenStream) -> TokenStream {
        let (output, fallible) = (&self.output, self.fallible(private));
        quote_spanned!(made_at(output)=> #private::output::<#output, #fallible>())
    }

    /// The settled return value of a call of the body; the one place where the error type is checked. The function is named with
    /// its types before it is called: rustc then blames the type and not the call.
    ///
    /// `typed`: whether the error's variants are kept.
    pub(crate) fn settled(
        &self,
        private: &TokenStream,
        typed: &TokenStream,
        ending: &TokenStream,
        call: &TokenStream,
    ) -> TokenStream {
        let (output, fallible) = (&self.output, self.fallible(private));
        let settle = quote_spanned!(made_at(output)=> #private::settle::<#output, #fallible, #typed, #ending>);
        self.settled_by(&settle, call)
    }

    /// The same for a body that must return nothing.
    pub(crate) fn settled_nothing(&self, private: &TokenStream, call: &TokenStream) -> TokenStream {
        let (output, fallible) = (&self.output, self.fallible(private));
        self.settled_by(&quote_spanned!(made_at(output)=> #private::settle_signal::<#output, #fallible>), call)
    }

    fn settled_by(&self, function: &TokenStream, call: &TokenStream) -> TokenStream {
        quote_spanned!(made_at(&self.output)=> {
            let settle = #function;
            settle(#call)
        })
    }

    fn fallible(&self, private: &TokenStream) -> TokenStream {
        let output = &self.output;
        quote_spanned!(made_at(output)=> { #private::Returned::<#output>::FALLIBLE })
    }

    /// Whether the error is sent as its variants, for activities.
    pub(crate) fn typed(&self, private: &TokenStream) -> TokenStream {
        let output = &self.output;
        quote_spanned!(made_at(output)=> { #private::Returned::<#output>::TYPED })
    }

    /// The error type of a call whose activity fails.
    pub(crate) fn call_error_type(&self, private: &TokenStream) -> TokenStream {
        let (output, typed) = (&self.output, self.typed(private));
        quote_spanned!(made_at(output)=> #private::CallErrorOf<#output, #typed>)
    }

    /// The same with `Self` spelled out, for code outside the user's `impl`.
    pub(crate) fn spell_out_self(&mut self, self_type: &Path) {
        let mut spell_out = SpellOutSelf(self_type);
        self.inputs.iter_mut().for_each(|input| spell_out.visit_type_mut(&mut input.ty));
        spell_out.visit_type_mut(&mut self.output);
    }

    /// Puts `unknown` in place of each type that cannot be used in generated code: it was rejected, is not finished, or names one
    /// of these type parameters, which have no meaning outside the user's code.
    pub(crate) fn replace_unknown_types<'a>(
        &mut self,
        unknown: &TokenStream,
        parameters: impl Iterator<Item = &'a Generics>,
    ) {
        let names: Vec<String> = parameters.flat_map(|generics| &generics.params).map(parameter_name).collect();
        let is_known = |ty: &Type, known: bool| {
            known && !mentions(quote!(#ty), &|ident| ident == UNFINISHED || names.iter().any(|name| ident == name))
        };
        for input in self.inputs.iter_mut().filter(|input| !is_known(&input.ty, input.known)) {
            input.ty = Type::Verbatim(unknown.clone());
        }
        if !is_known(&self.output, self.output_known) {
            self.output = Type::Verbatim(unknown.clone());
        }
    }
}

fn parameter_name(parameter: &GenericParam) -> String {
    match parameter {
        GenericParam::Lifetime(lifetime) => lifetime.lifetime.ident.to_string(),
        GenericParam::Type(ty) => ty.ident.to_string(),
        GenericParam::Const(constant) => constant.ident.to_string(),
    }
}

/// Whether the tokens contain an identifier for which `meant` is true.
pub(crate) fn mentions(tokens: TokenStream, meant: &dyn Fn(&Ident) -> bool) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => meant(&ident),
        TokenTree::Group(group) => mentions(group.stream(), meant),
        _ => false,
    })
}

/// A span of our own for messages that belong to the user's tokens.
pub(crate) fn made_at(tokens: &impl Spanned) -> Span {
    Span::mixed_site().located_at(tokens.span())
}

/// The same tokens, with spans for messages that belong to the user's tokens.
pub(crate) fn moved_to(tokens: &TokenStream, span: Span) -> TokenStream {
    let moved = tokens.clone().into_iter().map(|mut token| {
        token.set_span(token.span().located_at(span));
        token
    });
    moved.collect()
}

/// Rejects everything that no handler and no activity may have, such as generics and `unsafe`.
/// `what` is the subject of the message, as in "a signal".
pub(crate) fn check_shape(signature: &Signature, what: &str, errors: &Errors) {
    if !signature.generics.params.is_empty() {
        errors.at(
            &signature.generics,
            format!("{what} has one signature on the wire and cannot be generic; write the types it is used with"),
        );
    }
    if let Some(clause) = &signature.generics.where_clause {
        errors.minor(clause, format!("{what} has no generics, so `where` says nothing; remove it"));
    }
    let modifiers = [
        signature.constness.as_ref().map(|token| (quote!(#token), "const")),
        (!matches!(signature.safety, Safety::Default)).then(|| {
            let safety = &signature.safety;
            (quote!(#safety), "unsafe")
        }),
        signature.abi.as_ref().map(|token| (quote!(#token), "extern")),
    ];
    for (token, word) in modifiers.into_iter().flatten() {
        errors.at(token, format!("{what} cannot be `{word}`; remove it"));
    }
    if let Some(variadic) = &signature.variadic {
        errors.at(variadic, format!("{what} takes a fixed list of arguments; take a `Vec` instead"));
    }
}

/// The inputs of a body with these parameters, without its receiver, and its output. `what` is the subject of the messages.
pub(crate) fn check_types<'a>(
    signature: &Signature,
    parameters: impl Iterator<Item = &'a PatType>,
    what: &str,
    errors: &Errors,
) -> Checked {
    let inputs = check_inputs(parameters, what, errors);
    let (output, output_known) = check_output(signature, errors);
    Checked { is_async: signature.asyncness.is_some(), inputs, output, output_known }
}

/// The inputs of a signature without its receiver.
pub(crate) fn check_inputs<'a>(
    parameters: impl Iterator<Item = &'a PatType>,
    what: &str,
    errors: &Errors,
) -> Vec<Input> {
    let mut inputs = Vec::new();
    for (index, parameter) in parameters.enumerate() {
        if let Some(attribute) = parameter.attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
            errors.at(attribute, format!("{what} has one signature; put `#[cfg(..)]` on the whole function"));
        }
        if index == MAXIMUM_INPUTS {
            errors.at(
                parameter,
                format!("{what} takes at most {MAXIMUM_INPUTS} arguments; put them into one struct with names"),
            );
        }
        let known = refuse_unowned(&parameter.ty, "an input", errors);
        inputs.push(Input::new(parameter, index, known));
    }
    inputs
}

/// The return type of a signature, and whether generated code may contain it.
fn check_output(signature: &Signature, errors: &Errors) -> (Type, bool) {
    let ReturnType::Type(_, ty) = &signature.output else {
        let span = Span::mixed_site().located_at(signature.ident.span());
        return (parse_quote_spanned!(span=> ()), true);
    };
    // The error of a `Result` may be any type that converts; the type itself or its first argument is sent.
    let known = match bare(ty) {
        Type::Path(path) => match path.path.segments.last().map(|segment| &segment.arguments) {
            Some(PathArguments::AngleBracketed(arguments)) => match arguments.args.first() {
                Some(GenericArgument::Type(sent)) => refuse_unowned(sent, "a result", errors),
                Some(GenericArgument::Lifetime(_)) => refuse_unowned(ty, "a result", errors),
                _ => true,
            },
            _ => refuse_unowned(ty, "a result", errors),
        },
        ty => refuse_unowned(ty, "a result", errors),
    };
    ((**ty).clone(), known)
}

/// Returns the type itself if it is a macro's fragment: `$ty:ty` is in an invisible group.
pub(crate) fn bare(mut ty: &Type) -> &Type {
    while let Type::Group(group) = ty {
        ty = &group.elem;
    }
    ty
}

/// Rejects references, lifetimes and `impl Trait` anywhere in a type that is serialized. Returns whether there are none.
pub(crate) fn refuse_unowned(ty: &Type, what: &'static str, errors: &Errors) -> bool {
    struct Finder<'a>(&'static str, &'a Errors);
    impl<'ast> Visit<'ast> for Finder<'_> {
        fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
            let owned = match &*reference.elem {
                Type::Path(path) if path.path.is_ident("str") => "`String`".to_owned(),
                Type::Slice(slice) => {
                    let item = &slice.elem;
                    format!("`{}`", crate::text::readable(quote!(Vec<#item>)))
                }
                other => format!("`{}`", crate::text::readable(quote!(#other))),
            };
            self.1.at(reference, format!("{} is owned, because it is sent; write {owned}", self.0));
        }
        fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
            self.1.at(lifetime, format!("{} is owned, because it is sent; use a type without a lifetime", self.0));
        }
        fn visit_type_impl_trait(&mut self, opaque: &'ast TypeImplTrait) {
            self.1.at(opaque, format!("{} has one type on the wire; write it in place of `impl ..`", self.0));
        }
        // A function pointer's own types are not sent; the codec reports that it cannot be sent either.
        fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}
    }
    let before = errors.count_fatal();
    Finder(what, errors).visit_type(ty);
    errors.count_fatal() == before
}

/// Whether the type's name looks like a context. It only selects the message; the type checker decides.
pub(crate) fn is_called_context(ty: &Type) -> bool {
    match bare(ty) {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident.to_string().ends_with("Context")),
        Type::Reference(reference) => is_called_context(&reference.elem),
        _ => false,
    }
}

/// The parameters without the receiver.
pub(crate) fn typed(signature: &Signature) -> impl Iterator<Item = &PatType> {
    signature.inputs.iter().filter_map(|argument| match argument {
        FnArg::Typed(parameter) => Some(parameter),
        FnArg::Receiver(_) => None,
    })
}

/// Methods share their value: `&self` and nothing else.
pub(crate) fn check_receiver(signature: &Signature, what: &str, why_shared: &str, errors: &Errors) {
    match signature.receiver() {
        Some(Receiver { kind: ReceiverKind::Reference(_, None, None), mutability: None, .. }) => {}
        Some(receiver) => errors.at(receiver, format!("{what} takes `&self`: {why_shared}")),
        None => errors.at(&signature.ident, format!("{what} takes `&self` as its first parameter: {why_shared}")),
    }
}

struct SpellOutSelf<'a>(&'a Path);

impl VisitMut for SpellOutSelf<'_> {
    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_mut::visit_path_mut(self, path);
        if path.leading_colon.is_none() && path.segments.first().is_some_and(|first| first.ident == "Self") {
            let span = path.segments[0].ident.span();
            let mut spelled = self.0.clone();
            for segment in &mut spelled.segments {
                segment.ident.set_span(segment.ident.span().located_at(span));
            }
            spelled.segments.extend(path.segments.iter().skip(1).cloned());
            *path = spelled;
        }
    }
}
