//! An `impl` block whose method bodies are not parsed. A body with a syntax error does not affect the block: the macro emits it as
//! the user wrote it, and the compiler reports the error there.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Block, Error, FnArg, Generics, Ident, ImplItem, ItemImpl, Result, ReturnType, Signature, Token, Type,
    Visibility, braced, parse_quote, token,
};

/// The placeholder of a type that the user has not finished, until [`crate::signature::Checked::replace_unknown_types`] replaces
/// it.
pub(crate) const UNFINISHED: &str = "__Unfinished";

/// A block as written.
#[derive(Clone)]
pub(crate) struct ImplBlock {
    /// Everything but the members.
    pub(crate) head: ItemImpl,
    pub(crate) members: Vec<Member>,
}

#[derive(Clone)]
pub(crate) enum Member {
    Method(Box<Method>),
    /// A constant, a type or a macro call.
    Other(TokenStream),
    /// The rest that `syn` cannot read.
    Unread(TokenStream),
}

/// A method with its body unparsed.
#[derive(Clone)]
pub(crate) struct Method {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    defaultness: Option<Token![default]>,
    pub(crate) signature: Signature,
    /// The problem with the signature as written. Where this is set, `signature` has [`UNFINISHED`] in place of some types.
    broken: Option<Error>,
    pub(crate) body: Body,
}

#[derive(Clone)]
pub(crate) enum Body {
    /// `{ .. }`.
    Unread(TokenStream),
    /// The compiler reports a method of an `impl` that has no body.
    Semicolon(Token![;]),
    /// Neither a body nor a semicolon. The compiler has reported it: it parses an item before it passes the tokens to a macro.
    Missing,
}

impl Body {
    /// Returns the syntax tree, if the body parses.
    pub(crate) fn read(&self) -> Option<Block> {
        let Self::Unread(body) = self else { return None };
        let block = |input: ParseStream<'_>| {
            let content;
            let brace_token = braced!(content in input);
            content.call(Attribute::parse_inner)?;
            Ok(Block { brace_token, stmts: content.call(Block::parse_within)? })
        };
        block.parse2(body.clone()).ok()
    }

    /// Replaces the statements of the body.
    pub(crate) fn replace(&mut self, block: &Block) {
        let Self::Unread(body) = self else { return };
        let attributes = |input: ParseStream<'_>| {
            let content;
            braced!(content in input);
            let attributes = content.call(Attribute::parse_inner)?;
            content.parse::<TokenStream>()?;
            Ok(attributes)
        };
        let attributes = attributes.parse2(body.clone()).unwrap_or_default();
        let mut replaced = TokenStream::new();
        block.brace_token.surround(&mut replaced, |inner| {
            let statements = &block.stmts;
            inner.extend(quote!(#(#attributes)* #(#statements)*));
        });
        *body = replaced;
    }

    /// Puts these tokens before the body, in a block around it.
    pub(crate) fn precede(&mut self, first: &TokenStream) {
        let Self::Unread(body) = self else { return };
        let parts = |input: ParseStream<'_>| {
            let content;
            let braces = braced!(content in input);
            Ok((braces, content.call(Attribute::parse_inner)?, content.parse::<TokenStream>()?))
        };
        let Ok((braces, attributes, rest)) = parts.parse2(body.clone()) else { return };
        let mut outer = TokenStream::new();
        braces.surround(&mut outer, |outer| {
            outer.extend(quote!(#(#attributes)* #first));
            match attributes.is_empty() {
                true => outer.extend(body.clone()),
                false => braces.surround(outer, |inner| inner.extend(rest)),
            }
        });
        *body = outer;
    }
}

/// Whether the item is an `impl` block. Parses only up to that word.
pub(crate) fn is_impl(item: &TokenStream) -> bool {
    let head = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        let is_impl = input.peek(Token![impl])
            || (input.peek(Token![unsafe]) || input.peek(Token![default])) && input.peek2(Token![impl]);
        input.parse::<TokenStream>()?;
        Ok(is_impl)
    };
    head.parse2(item.clone()).unwrap_or(false)
}

impl ImplBlock {
    /// Fails only if the part before the braces cannot be parsed.
    pub(crate) fn parse(item: TokenStream) -> Result<Self> {
        let mut tokens: Vec<TokenTree> = item.into_iter().collect();
        match tokens.pop() {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let head: TokenStream = tokens.into_iter().collect();
                let mut head: ItemImpl = syn::parse2(quote!(#head {}))?;
                head.brace_token = token::Brace(group.delim_span());
                let members = |input: ParseStream<'_>| {
                    head.attrs.extend(input.call(Attribute::parse_inner)?);
                    members(input)
                };
                let members = members.parse2(group.stream())?;
                Ok(Self { head, members })
            }
            // A macro's fragment is in an invisible group.
            Some(TokenTree::Group(group)) if tokens.is_empty() && group.delimiter() == Delimiter::None => {
                Self::parse(group.stream())
            }
            last => Err(Error::new_spanned(last, "expected an `impl` block")),
        }
    }

    /// Returns the methods, with their positions among the members.
    pub(crate) fn methods(&self) -> impl Iterator<Item = (usize, &Method)> {
        self.members.iter().enumerate().filter_map(|(index, member)| match member {
            Member::Method(method) => Some((index, &**method)),
            Member::Other(_) | Member::Unread(_) => None,
        })
    }

    pub(crate) fn methods_mut(&mut self) -> impl Iterator<Item = (usize, &mut Method)> {
        self.members.iter_mut().enumerate().filter_map(|(index, member)| match member {
            Member::Method(method) => Some((index, &mut **method)),
            Member::Other(_) | Member::Unread(_) => None,
        })
    }

    pub(crate) fn method(&self, index: usize) -> Option<&Method> {
        self.methods().find_map(|(at, method)| (at == index).then_some(method))
    }

    /// Replaces unfinished types by this type.
    pub(crate) fn finish(&mut self, unknown: &TokenStream) {
        self.methods_mut().for_each(|(_, method)| method.finish(unknown));
    }

    pub(crate) fn method_mut(&mut self, index: usize) -> Option<&mut Method> {
        self.methods_mut().find_map(|(at, method)| (at == index).then_some(method))
    }
}

impl ToTokens for ImplBlock {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        // The compiler skips the rest of a block after a syntax error, so members that may have one come last.
        let (unread, read): (Vec<_>, Vec<_>) =
            self.members.iter().partition(|member| matches!(member, Member::Unread(_)));
        let mut item = self.head.clone();
        item.items = read.into_iter().chain(unread).map(|member| ImplItem::Verbatim(quote!(#member))).collect();
        item.to_tokens(tokens);
    }
}

impl ToTokens for Member {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Method(method) => method.to_tokens(tokens),
            Self::Other(other) | Self::Unread(other) => other.to_tokens(tokens),
        }
    }
}

impl Method {
    /// The problem with an unfinished signature. The compiler has reported it, too, but the unknown type needs a message
    /// of ours.
    pub(crate) fn syntax_error(&self) -> Option<&Error> {
        self.broken.as_ref()
    }

    /// Whether it has a body, possibly one that does not parse.
    pub(crate) fn has_body(&self) -> bool {
        !matches!(self.body, Body::Semicolon(_))
    }

    /// Puts this type in place of those that are not finished.
    pub(crate) fn finish(&mut self, unknown: &TokenStream) {
        struct Finish<'a>(&'a TokenStream);
        impl VisitMut for Finish<'_> {
            fn visit_type_mut(&mut self, ty: &mut Type) {
                match ty {
                    Type::Path(path) if path.path.is_ident(UNFINISHED) => *ty = Type::Verbatim(self.0.clone()),
                    _ => visit_mut::visit_type_mut(self, ty),
                }
            }
        }
        if self.broken.is_some() {
            Finish(unknown).visit_signature_mut(&mut self.signature);
        }
    }
}

impl ToTokens for Method {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, vis, defaultness, signature, body, .. } = self;
        let (allow, body) = match body {
            Body::Unread(body) => (None, body.clone()),
            Body::Semicolon(semicolon) => (None, quote!(#semicolon)),
            Body::Missing => (Some(quote!(#[allow(unused_variables)])), quote!({ loop {} })),
        };
        tokens.extend(quote!(#(#attrs)* #allow #vis #defaultness #signature #body));
    }
}

impl Parse for Method {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let is_default = input.peek(Token![default]) && !input.peek2(Token![!]);
        let defaultness = if is_default { Some(input.parse()?) } else { None };
        let ahead = input.fork();
        let (signature, broken) = match ahead.parse().and_then(|signature| ends_well(&ahead).map(|()| signature)) {
            Ok(signature) => {
                input.advance_to(&ahead);
                (signature, None)
            }
            Err(error) => {
                let signature = broken_signature(input)?;
                let message = format!("the signature of `{}` is not finished here", signature.ident);
                (signature, Some(Error::new(error.span(), message)))
            }
        };
        let body = if input.peek(token::Brace) {
            Body::Unread(input.parse::<TokenTree>()?.into())
        } else if input.peek(Token![;]) {
            Body::Semicolon(input.parse()?)
        } else {
            Body::Missing
        };
        Ok(Self { attrs, vis, defaultness, signature, broken, body })
    }
}

/// Parses the members of a block. Tokens that can be no member are left out: the compiler has reported them.
fn members(input: ParseStream<'_>) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    while !input.is_empty() {
        let ahead = input.fork();
        if let Ok(method) = ahead.parse() {
            input.advance_to(&ahead);
            members.push(Member::Method(Box::new(method)));
            continue;
        }
        let ahead = input.fork();
        if let Ok(item) = ahead.parse::<ImplItem>() {
            input.advance_to(&ahead);
            members.push(Member::Other(item.to_token_stream()));
            continue;
        }
        let mut unread = TokenStream::new();
        while !input.is_empty() && (unread.is_empty() || !starts_method(input)) {
            let token: TokenTree = input.parse()?;
            let is_end = ends_member(&token);
            unread.extend([token]);
            if is_end {
                members.push(Member::Unread(std::mem::take(&mut unread)));
                break;
            }
        }
    }
    Ok(members)
}

/// Whether a member ends with this token.
fn ends_member(token: &TokenTree) -> bool {
    match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    }
}

fn starts_method(input: ParseStream<'_>) -> bool {
    input.fork().parse::<Method>().is_ok_and(|method| method.broken.is_none())
}

/// Whether a signature may end here: before its body, or where the body is missing.
fn ends_well(input: ParseStream<'_>) -> Result<()> {
    let at_body = input.is_empty() || input.peek(token::Brace) || input.peek(Token![;]);
    if at_body || input.peek(Token![#]) || starts_method(input) {
        return Ok(());
    }
    Err(input.error("expected `{`"))
}

/// Parses as much of a signature as possible.
fn broken_signature(input: ParseStream<'_>) -> Result<Signature> {
    let mut qualifiers = TokenStream::new();
    while !input.peek(Token![fn]) {
        let is_qualifier = input.peek(Token![const])
            || input.peek(Token![async])
            || input.peek(Token![unsafe])
            || input.peek(Token![extern])
            || input.peek(syn::LitStr);
        if !is_qualifier {
            return Err(input.error("expected a method"));
        }
        qualifiers.extend([input.parse::<TokenTree>()?]);
    }
    let (fn_token, name): (Token![fn], Ident) = (input.parse()?, input.parse()?);
    let generics: Generics = input.parse()?;
    let Some(TokenTree::Group(inputs)) = input.peek(token::Paren).then(|| input.parse()).transpose()? else {
        return Err(input.error("expected parameters"));
    };
    let mut rest = TokenStream::new();
    while !(input.is_empty() || input.peek(token::Brace) || input.peek(Token![;]) || starts_method(input)) {
        rest.extend([input.parse::<TokenTree>()?]);
    }
    let inputs = readable_inputs.parse2(inputs.stream())?;
    let output: ReturnType = syn::parse2(rest).unwrap_or_else(|_| {
        let unfinished = unfinished(name.span());
        parse_quote!(-> #unfinished)
    });
    syn::parse2(quote!(#qualifiers #fn_token #name #generics (#inputs) #output))
}

/// Parses the parameters, with the placeholder in place of types that cannot be parsed.
fn readable_inputs(input: ParseStream<'_>) -> Result<Punctuated<FnArg, Token![,]>> {
    let mut inputs = Punctuated::new();
    while !input.is_empty() {
        let ahead = input.fork();
        match ahead.parse::<FnArg>() {
            Ok(parameter) if ahead.is_empty() || ahead.peek(Token![,]) => {
                input.advance_to(&ahead);
                inputs.push_value(parameter);
            }
            _ => {
                let name: Option<Ident> = input.fork().parse().ok();
                let span = input.span();
                while !(input.is_empty() || input.peek(Token![,])) {
                    input.parse::<TokenTree>()?;
                }
                let (name, ty) = (name.map_or(quote!(_), |name| quote!(#name)), unfinished(span));
                inputs.push_value(parse_quote!(#name: #ty));
            }
        }
        if input.peek(Token![,]) {
            inputs.push_punct(input.parse()?);
        }
    }
    Ok(inputs)
}

fn unfinished(span: Span) -> Type {
    let name = Ident::new(UNFINISHED, span);
    parse_quote!(#name)
}
