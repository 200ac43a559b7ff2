//! Unfinished code: the finished parts are kept, and callers get no errors.

use proc_macro2::TokenStream;
use quote::quote;

use super::messages;
use crate::{activity, workflow};

fn expand(block: TokenStream) -> String {
    let expansion = workflow::expand(TokenStream::new(), block);
    assert_eq!(messages(expansion.clone()), [""; 0], "the compiler reports it");
    expansion.to_string()
}

#[track_caller]
fn assert_contains(expansion: &str, tokens: &TokenStream) {
    assert!(expansion.contains(&tokens.to_string()), "no `{tokens}` in {expansion}");
}

/// The constructor, a method of the handle, and the implementation.
#[track_caller]
fn assert_is_usable(expansion: &str) {
    assert_contains(expansion, &quote!(pub fn run(cents: u32) -> ::everloop::__private::WorkflowCall<Order>));
    assert_contains(expansion, &quote!(pub fn add(&self, cents: u32) -> ::everloop::__private::SignalCall<__T>));
    assert_contains(expansion, &quote!(impl ::everloop::__private::Workflow for Order));
}

#[test]
fn body_that_does_not_parse_is_emitted_as_written() {
    for body in [quote!({ let paid = }), quote!({ self.total. }), quote!({ if self.paid() Ok(1) }), quote!({ a() b() })]
    {
        let expansion = expand(quote! {
            impl Order {
                #[run]
                async fn run(&self, cents: u32) -> u32 #body
                #[signal]
                fn add(&self, cents: u32) #body
            }
        });
        assert_is_usable(&expansion);
        assert_contains(&expansion, &quote!(async fn __everloop_run(&self, cents: u32) -> u32 #body));
        assert_contains(&expansion, &quote!(fn add(&self, cents: u32) #body));
    }
}

#[test]
fn allowance_is_taken_off_a_body_that_does_not_parse() {
    let expansion = expand(quote! {
        impl Order {
            #[run]
            async fn run(&self, cents: u32) -> u32 {
                #[allow_nondeterminism("logged")]
                println!("{:?}", Instant::now());
                if cents > 1 { #[everloop::allow_nondeterminism("logged")] drop(Instant::now()); }
                let paid =
            }
            #[signal]
            fn add(&self, cents: u32) {}
        }
    });
    assert_is_usable(&expansion);
    assert!(!expansion.contains("allow_nondeterminism"), "{expansion}");
}

#[test]
fn our_macros_are_preferred_in_a_body_that_does_not_parse() {
    let expansion = expand(quote! {
        impl Order {
            #[run]
            async fn run(&self, cents: u32) -> u32 { #![allow(unused)] join!(a, b) cents }
            #[signal]
            fn add(&self, cents: u32) {}
        }
    });
    assert_is_usable(&expansion);
    assert_contains(
        &expansion,
        &quote!({
            #![allow(unused)]
            #[allow(unused_imports)]
            use ::everloop::__private::{join, select};
            { join!(a, b) cents }
        }),
    );
}

#[test]
fn method_without_a_body_keeps_its_signature() {
    let expansion = expand(quote! {
        impl Order {
            #[run]
            async fn run(&self, cents: u32) -> u32
            #[signal]
            fn add(&self, cents: u32);
            fn helper(&self)
        }
    });
    assert_is_usable(&expansion);
    assert_contains(
        &expansion,
        &quote!(
            async fn __everloop_run(&self, cents: u32) -> u32 {
                loop {}
            }
        ),
    );
    assert_contains(
        &expansion,
        &quote!(
            fn add(&self, cents: u32);
        ),
    );
    assert_contains(
        &expansion,
        &quote!(
            fn helper(&self) {
                loop {}
            }
        ),
    );
}

/// The compiler reports the syntax error before it calls the macro; the macro returns tokens that may be an item to the compiler.
#[test]
fn unreadable_member_leaves_other_members_intact() {
    for (written, kept) in [
        (quote!(fn), ""),
        (quote!(pub async), ""),
        (quote!(helper(&self) {}), "helper"),
        (quote!(fn helper(&self) -> u32 {} else {}), "else"),
    ] {
        let expansion = expand(quote! {
            impl Order {
                #written
                #[run]
                async fn run(&self, cents: u32) -> u32 { cents }
                #[signal]
                fn add(&self, cents: u32) {}
            }
        });
        assert_is_usable(&expansion);
        assert_contains(
            &expansion,
            &quote!(
                async fn __everloop_run(&self, cents: u32) -> u32 {
                    cents
                }
            ),
        );
        assert!(expansion.contains(kept), "{expansion}");
    }
}

#[test]
fn unfinished_parameter_and_result_have_a_type_that_fits_everything() {
    for signature in [
        quote!(fn add(&self, cents: )),
        quote!(fn add(&self, cents)),
        quote!(fn add(&self, cents: Vec<)),
        quote!(fn add(&self, cents: u32) -> ),
        quote!(fn add(&self, cents: u32) -> Vec<u32),
    ] {
        let expansion = workflow::expand(
            TokenStream::new(),
            quote! {
                impl Order {
                    #[run]
                    async fn run(&self, cents: u32) -> u32 { cents }
                    #[update]
                    #signature { self.total.add(cents) }
                }
            },
        );
        assert_eq!(messages(expansion.clone()), ["the signature of `add` is not finished here"], "{signature}");
        let expansion = expansion.to_string();
        assert_contains(&expansion, &quote!(pub fn add));
        assert_contains(&expansion, &quote!({ self.total.add(cents) }));
        assert!(expansion.contains("__Unknown"), "{expansion}");
        assert!(!expansion.contains("__Unfinished"), "{expansion}");
    }
}

#[test]
fn method_activity_that_is_not_finished_is_still_an_activity() {
    let expansion = activity::expand_block(
        TokenStream::new(),
        quote! {
            impl Payments {
                #[activity]
                async fn refund(&self, cents: u64) -> u64 { let paid = }
                #[activity]
                async fn charge(&self, cents: u64) -> u64
            }
        },
    );
    assert_eq!(messages(expansion.clone()), [""; 0]);
    let expansion = expansion.to_string();
    assert_contains(&expansion, &quote!(async fn __everloop_refund(&self, cents: u64) -> u64 { let paid = }));
    assert_contains(
        &expansion,
        &quote!(
            async fn __everloop_charge(&self, cents: u64) -> u64 {
                loop {}
            }
        ),
    );
    assert_contains(&expansion, &quote!(impl ::everloop::__private::Activities for Payments));
}
