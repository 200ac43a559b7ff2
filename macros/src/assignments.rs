//! Finds assignments to fields of `self`. The compiler's advice on them, a conversion or `&mut self`, leads to further errors.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{BinOp, Expr, ExprField, FnArg, Item, Member, Receiver, ReceiverKind, parse_quote};

use crate::diagnostics::Errors;
use crate::impl_block::ImplBlock;

/// Reports each assignment to a field in the methods that take `&self`, and removes it from the body, so that the compiler does not
/// report it, too.
pub(crate) fn refuse(block: &mut ImplBlock, errors: &Errors) {
    for (_, method) in block.methods_mut() {
        let is_shared = matches!(
            method.signature.inputs.first(),
            Some(FnArg::Receiver(Receiver { kind: ReceiverKind::Reference(_, _, None), mutability: None, .. }))
        );
        let (true, Some(mut body)) = (is_shared, method.body.read()) else { continue };
        let mut assignments = Assignments { errors, found: false };
        assignments.visit_block_mut(&mut body);
        if assignments.found {
            method.body.replace(&body);
        }
    }
}

struct Assignments<'a> {
    errors: &'a Errors,
    found: bool,
}

impl VisitMut for Assignments<'_> {
    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        let field = match expression {
            Expr::Assign(assign) => field_of_self(&assign.left).map(|field| (field, quote!(=))),
            Expr::Binary(binary) if is_assignment(&binary.op) => {
                field_of_self(&binary.left).map(|field| (field, binary.op.to_token_stream()))
            }
            _ => None,
        };
        let Some((AssignedField { name, whole, inner }, operator)) = field else {
            return visit_mut::visit_expr_mut(self, expression);
        };
        let instead = match (inner.is_empty(), operator.to_string().as_str()) {
            (true, "=") => format!("self.{name}.set(..)"),
            (true, operator) => format!("self.{name}.update(|{name}| *{name} {operator} ..)"),
            (false, operator) => format!("self.{name}.update(|{name}| {name}.{inner} {operator} ..)"),
        };
        self.errors.minor(
            &whole,
            format!(
                "`self` is shared, so its fields are not assigned: make `{name}` a `State<..>`, and write `{instead}`"
            ),
        );
        self.found = true;
        *expression = parse_quote!({
            let _ = &#whole;
        });
    }

    /// `self` has another meaning in nested items.
    fn visit_item_mut(&mut self, _: &mut Item) {}
}

/// `self.name`, or a field in it.
struct AssignedField {
    name: String,
    /// As written.
    whole: TokenStream,
    /// The path to the field below `name`; empty for the field itself.
    inner: String,
}

fn field_of_self(expression: &Expr) -> Option<AssignedField> {
    let Expr::Field(ExprField { base, member: Member::Named(member), .. }) = expression else { return None };
    let whole = expression.to_token_stream();
    if matches!(&**base, Expr::Path(path) if path.path.is_ident("self")) {
        return Some(AssignedField { name: member.to_string(), whole, inner: String::new() });
    }
    let outer = field_of_self(base)?;
    let inner = if outer.inner.is_empty() { member.to_string() } else { format!("{}.{member}", outer.inner) };
    Some(AssignedField { name: outer.name, whole, inner })
}

fn is_assignment(operator: &BinOp) -> bool {
    use BinOp::*;
    matches!(
        operator,
        AddAssign(_)
            | SubAssign(_)
            | MulAssign(_)
            | DivAssign(_)
            | RemAssign(_)
            | BitXorAssign(_)
            | BitAndAssign(_)
            | BitOrAssign(_)
            | ShlAssign(_)
            | ShrAssign(_)
    )
}
