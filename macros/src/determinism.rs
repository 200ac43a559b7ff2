//! Finds calls whose result differs on replay, as far as the source text shows it.

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Expr, ExprMethodCall, FnArg, ItemUse, LitStr, Macro, Member, Meta, Path, Stmt, UseTree};

use crate::attributes::{is_ours, take_ours};
use crate::diagnostics::Errors;
use crate::impl_block::{Body, ImplBlock};
use crate::signature::mentions;

const ALLOW: &str = "allow_nondeterminism";

/// Checks the bodies of methods that run in the workflow, and removes `#[allow_nondeterminism]`. A body that does not parse is left
/// to the compiler, which reports its syntax error.
pub(crate) fn lint(block: &mut ImplBlock, root: &Path, errors: &Errors) {
    for (_, method) in block.methods_mut() {
        let mut lint = Lint { root, errors, allowed: 0 };
        let allowed = lint.take_allowance(&mut method.attrs);
        let of_a_workflow = matches!(method.signature.inputs.first(), Some(FnArg::Receiver(_)));
        lint.allowed = usize::from(allowed || !of_a_workflow);
        if let Some(mut body) = method.body.read() {
            lint.visit_block_mut(&mut body);
        }
        if let Body::Unread(body) = &mut method.body {
            *body = without_allowances(body.clone(), root);
        }
    }
}

/// Returns the tokens without `#[allow_nondeterminism(..)]`, which the compiler does not know on a statement.
fn without_allowances(tokens: TokenStream, root: &Path) -> TokenStream {
    let mut kept: Vec<TokenTree> = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let is_attribute = matches!(kept.last(), Some(TokenTree::Punct(hash)) if hash.as_char() == '#');
                if is_attribute && allowance(&group, root).is_some() {
                    kept.pop();
                    continue;
                }
                kept.push(TokenTree::Group(match mentions(group.stream(), &|ident| ident == ALLOW) {
                    true => with_stream(&group, without_allowances(group.stream(), root)),
                    false => group,
                }));
            }
            token => kept.push(token),
        }
    }
    kept.into_iter().collect()
}

/// Whether `[..]` is our attribute.
fn allowance(attribute: &Group, root: &Path) -> Option<Meta> {
    let meta = (attribute.delimiter() == Delimiter::Bracket).then(|| syn::parse2::<Meta>(attribute.stream()).ok());
    meta.flatten().filter(|meta| is_ours(meta.path(), ALLOW, root))
}

/// Returns the group with other tokens in it, at the same span.
fn with_stream(group: &Group, tokens: TokenStream) -> Group {
    let mut with = Group::new(group.delimiter(), tokens);
    with.set_span(group.span());
    with
}

struct Lint<'a> {
    root: &'a Path,
    errors: &'a Errors,
    /// Number of enclosing allowances.
    allowed: usize,
}

impl Lint<'_> {
    /// Removes our attribute. Returns whether there was one with a reason.
    fn take_allowance(&self, attributes: &mut Vec<Attribute>) -> bool {
        let taken = take_ours(attributes, &[ALLOW], self.root);
        for (_, attribute) in &taken {
            self.check_reason(&attribute.meta, attribute);
        }
        !taken.is_empty()
    }

    fn check_reason(&self, allowance: &Meta, place: impl ToTokens) {
        let reason = match allowance {
            Meta::List(list) => list.parse_args::<LitStr>().ok(),
            _ => None,
        };
        if reason.is_none_or(|reason| reason.value().trim().is_empty()) {
            self.errors.minor(place, format!("say why it does no harm: `#[{ALLOW}(\"only logged\")]`"));
        }
    }

    fn report(&self, path: &[String], tokens: impl ToTokens, is_macro: bool) {
        if self.allowed > 0 {
            return;
        }
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let advice = if is_macro { macro_advice(&segments) } else { path_advice(&segments) };
        if let Some(advice) = advice {
            let (written, bang) = (segments.join("::"), if is_macro { "!" } else { "" });
            self.errors.minor(
                tokens,
                format!(
                    "`{written}{bang}` {advice}; if it does no harm here, write `#[{ALLOW}(\"why\")]` on the statement"
                ),
            );
        }
    }

    /// Whether this is our attribute, without its `#`.
    fn allows(&self, attribute: Option<&TokenTree>) -> bool {
        let Some(TokenTree::Group(group)) = attribute else { return false };
        let allowance = allowance(group, self.root);
        allowance.as_ref().map(|allowance| self.check_reason(allowance, group)).is_some()
    }

    /// Returns the paths in the arguments of a macro, which have no syntax tree.
    fn scan(&self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        let (mut path, mut written) = (Vec::new(), TokenStream::new());
        let mut joined = false;
        let mut after_dot = false;
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(ident) if !after_dot => {
                    if !joined {
                        (path, written) = (Vec::new(), TokenStream::new());
                    }
                    path.push(ident.to_string());
                    written.extend([TokenTree::Ident(ident)]);
                    joined = matches!(tokens.peek(), Some(TokenTree::Punct(next))
                        if next.as_char() == ':' && next.spacing() == Spacing::Joint);
                    if joined {
                        written.extend(tokens.by_ref().take(2));
                    } else {
                        let bang = matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == '!');
                        self.report(&path, &written, bang);
                    }
                }
                TokenTree::Punct(hash) if hash.as_char() == '#' && self.allows(tokens.peek()) => {
                    // The statement that the attribute belongs to.
                    let ends = |token: &TokenTree| matches!(token, TokenTree::Punct(end) if end.as_char() == ';');
                    while tokens.next_if(|token| !ends(token)).is_some() {}
                    (joined, after_dot) = (false, false);
                }
                TokenTree::Group(group) => {
                    self.scan(group.stream());
                    (joined, after_dot) = (false, false);
                }
                token => {
                    after_dot = matches!(&token, TokenTree::Punct(dot) if dot.as_char() == '.' && dot.spacing() == Spacing::Alone);
                    joined = false;
                }
            }
        }
    }
}

impl VisitMut for Lint<'_> {
    fn visit_stmt_mut(&mut self, statement: &mut Stmt) {
        let allowed = match statement {
            Stmt::Local(local) => self.take_allowance(&mut local.attrs),
            Stmt::Macro(call) => self.take_allowance(&mut call.attrs),
            // An attribute before `a = b` is parsed as belonging to `a`, but applies to the whole statement.
            Stmt::Expr(expression, _) => leftmost_attributes(expression).is_some_and(|it| self.take_allowance(it)),
            Stmt::Item(_) => false,
        };
        self.allowed += usize::from(allowed);
        visit_mut::visit_stmt_mut(self, statement);
        self.allowed -= usize::from(allowed);
    }

    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        let allowed = own_attributes(expression).is_some_and(|attributes| self.take_allowance(attributes));
        self.allowed += usize::from(allowed);
        visit_mut::visit_expr_mut(self, expression);
        self.allowed -= usize::from(allowed);
    }

    fn visit_path_mut(&mut self, path: &mut Path) {
        self.report(&segments(path), &*path, false);
        visit_mut::visit_path_mut(self, path);
    }

    fn visit_macro_mut(&mut self, call: &mut Macro) {
        self.report(&segments(&call.path), &call.path, true);
        self.scan(call.tokens.clone());
    }

    fn visit_item_use_mut(&mut self, item: &mut ItemUse) {
        self.report_uses(&mut Vec::new(), &item.tree);
    }
}

impl Lint<'_> {
    fn report_uses(&self, path: &mut Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.report_uses(path, &part.tree);
                path.pop();
            }
            UseTree::Name(name) => self.report_use(path, &name.ident),
            UseTree::Rename(rename) => self.report_use(path, &rename.ident),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.report_uses(path, tree)),
            _ => {}
        }
    }

    fn report_use(&self, path: &[String], last: &syn::Ident) {
        let path: Vec<String> = path.iter().cloned().chain([last.to_string()]).collect();
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        self.report(&path, last, macro_advice(&segments).is_some());
    }
}

fn segments(path: &Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// The problem with the path, and the replacement.
fn path_advice(path: &[&str]) -> Option<&'static str> {
    let path = match path {
        ["core" | "alloc", rest @ ..] if !rest.is_empty() => &[&["std"], rest].concat()[..],
        path => path,
    };
    Some(match path {
        ["tokio" | "async_std" | "smol", "spawn"]
        | ["tokio" | "async_std", "task", "spawn" | "spawn_local"]
        | ["task", "spawn" | "spawn_local"] => {
            "runs outside the workflow, which replay cannot follow: write `spawn(..)`, which starts a coroutine of this workflow"
        }
        ["tokio", "task", "yield_now"] | ["task", "yield_now"] => {
            "hands over to tokio, which does not run workflows: write `yield_now()`"
        }
        ["tokio", "task", "spawn_blocking"] | ["task", "spawn_blocking"] => {
            "runs outside the workflow, which replay cannot follow: write an `#[activity] fn` and call it"
        }
        ["tokio", "time", "Instant", "now"] | ["std", "time", "Instant", "now"] | ["Instant", "now"] => {
            "gives another time on replay: write `workflow::now()`, the workflow's own clock"
        }
        [.., "SystemTime", "now"] | [.., "Utc" | "Local", "now"] => {
            "gives another time on replay: write `workflow::now()`, the workflow's own clock"
        }
        ["tokio", "time", "timeout" | "timeout_at"] => {
            "is forgotten when the worker stops: write `timeout(..)`, which lasts"
        }
        ["tokio", "time", "sleep_until"] => {
            "is forgotten when the worker stops: write `sleep_until(..)`, a timer that lasts"
        }
        ["tokio", "time", "sleep" | "interval" | "interval_at", ..] => {
            "is forgotten when the worker stops: write `sleep(..)`, a timer that lasts"
        }
        ["tokio", "fs" | "net" | "process" | "signal", ..] => {
            "reaches outside the workflow, and again on every replay: do it in an `#[activity]`"
        }
        ["std", "thread", ..] | ["thread", "spawn" | "sleep" | "park" | "scope" | "yield_now"] => match path.last() {
            Some(&"sleep") => "stops the worker's thread: write `sleep(..)`, a timer that lasts",
            Some(&("spawn" | "scope")) => {
                "runs outside the workflow, which replay cannot follow: write `spawn(..)`, or an `#[activity]` for real work"
            }
            _ => "depends on the thread, which is another one on replay: do without it, or do it in an `#[activity]`",
        },
        [
            "rand",
            "random" | "rng" | "thread_rng" | "fill" | "random_bool" | "random_iter" | "random_range" | "random_ratio",
        ] => "gives another number on replay: write `workflow::random()`, the workflow's own source",
        ["thread_rng"]
        | ["fastrand", "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" | "f32" | "f64" | "bool"] => {
            "gives another number on replay: write `workflow::random()`, the workflow's own source"
        }
        [.., "Uuid", "new_v4" | "now_v7" | "now_v6" | "now_v1"] => {
            "gives another id on replay: write `workflow::uuid()`"
        }
        ["std", "fs", ..]
        | ["std", "net", "TcpStream" | "TcpListener" | "UdpSocket" | "ToSocketAddrs", ..]
        | ["std", "process", ..]
        | ["TcpStream" | "TcpListener", "connect" | "bind"]
        | ["File", "open" | "create"]
        | [
            "fs",
            "read" | "read_to_string" | "write" | "read_dir" | "remove_file" | "create_dir_all" | "copy" | "rename",
        ]
        | ["process", "exit" | "abort" | "id"]
        | ["std", "io", "stdin"]
        | ["io", "stdin"] => "reaches outside the workflow, and again on every replay: do it in an `#[activity]`",
        ["std", "env", "consts", ..] => return None,
        ["std", "env", ..] | ["env", "var" | "var_os" | "vars" | "args" | "current_dir" | "temp_dir"] => {
            "can differ on replay, which may be on another machine: pass the value as an input, or read it in an `#[activity]`"
        }
        ["futures" | "futures_executor" | "tokio" | "pollster", .., "block_on"] => {
            "stops the worker's thread: write `.await`"
        }
        _ => return None,
    })
}

fn macro_advice(path: &[&str]) -> Option<&'static str> {
    Some(match path {
        ["tokio" | "futures" | "futures_util", "select"] => {
            "polls its branches in random order: write `select!` alone, which polls in written order"
        }
        ["futures" | "futures_util", "select_biased"] => return None,
        ["tokio", "join"] => "changes its order between polls: write `join!` alone, which polls in written order",
        ["tokio", "try_join"] => "changes its order between polls: write `join!` alone, and `?` on each result",
        _ => return None,
    })
}

/// Rejects visible writes, such as `self.field.set(..)`, in the body of a method that may only read.
pub(crate) fn refuse_writes(body: &Body, what: &str, errors: &Errors) {
    struct Writes<'a>(&'a str, &'a Errors);
    impl<'ast> Visit<'ast> for Writes<'_> {
        fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
            let field = match &*call.receiver {
                Expr::Field(field) if is_self(&field.base) => Some(&field.member),
                _ => None,
            };
            // With as many arguments as `State`'s own methods, so that `str::replace` is not reported.
            let writes = [("set", 1), ("update", 1), ("replace", 1), ("take", 0)];
            let writes = writes.iter().any(|(name, arguments)| call.method == name && call.args.len() == *arguments);
            if let Some(Member::Named(field)) = field.filter(|_| writes) {
                let what = self.0;
                self.1.minor_at(
                    call.method.span(),
                    format!(
                        "{what} only reads, and this writes `{field}`: nothing it changes would be in the history; \
                         write in a `#[signal]` or an `#[update]`"
                    ),
                );
            }
            visit::visit_expr_method_call(self, call);
        }
    }
    if let Some(block) = body.read() {
        Writes(what, errors).visit_block(&block);
    }
}

fn is_self(expression: &Expr) -> bool {
    matches!(expression, Expr::Path(path) if path.path.is_ident("self"))
}

/// Whether the body may refer to one of our macros by a bare `select!` or `join!`.
pub(crate) fn mentions_our_macros(tokens: TokenStream) -> bool {
    let mut before = None;
    for token in tokens {
        match &token {
            TokenTree::Group(group) if mentions_our_macros(group.stream()) => return true,
            TokenTree::Punct(bang) if bang.as_char() == '!' => {
                if let Some(TokenTree::Ident(name)) = &before
                    && (name == "select" || name == "join")
                {
                    return true;
                }
            }
            _ => {}
        }
        before = Some(token);
    }
    false
}

/// Returns the attributes before a statement, wherever the parser has put them.
fn leftmost_attributes(expression: &mut Expr) -> Option<&mut Vec<Attribute>> {
    match expression {
        Expr::Assign(assign) => leftmost_attributes(&mut assign.left),
        Expr::Binary(binary) => leftmost_attributes(&mut binary.left),
        Expr::Cast(cast) => leftmost_attributes(&mut cast.expr),
        other => own_attributes(other),
    }
}

fn own_attributes(expression: &mut Expr) -> Option<&mut Vec<Attribute>> {
    macro_rules! attributes {
        ($($kind:ident)*) => {
            match expression {
                $(Expr::$kind(expression) => Some(&mut expression.attrs),)*
                _ => None,
            }
        };
    }
    attributes!(
        Array Assign Async Await Binary Block Break Call Cast Closure Const Continue Field ForLoop Group If Index Infer Let Lit
        Loop Macro Match MethodCall Paren Path Range RawAddr Reference Repeat Return Struct Try TryBlock Tuple Unary Unsafe
        While Yield
    )
}
