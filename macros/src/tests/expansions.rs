//! The expansion of each kind of item.

use expect_test::expect_file;
use proc_macro2::TokenStream;
use quote::quote;

use super::{messages, printed};
use crate::{activity, workflow};

fn nothing() -> TokenStream {
    TokenStream::new()
}

#[test]
fn a_function() {
    let expansion = activity::expand_function(
        quote!(start_to_close_timeout = "1m", retry_policy(maximum_attempts = 5)),
        quote! {
            /// Charges the customer.
            #[cfg(feature = "shop")]
            #[tracing::instrument]
            pub async fn charge(ctx: &ActivityContext, mut card: Card, _: u64) -> ActivityResult<Receipt> {
                card.charge(ctx).await
            }
        },
    );
    expect_file!["expanded/function.rs"].assert_eq(&printed(expansion));
}

#[test]
fn a_definition() {
    let expansion = activity::expand_function(
        quote!(name = "ship_parcel", crate = ::durable),
        quote!(
            pub(super) fn ship(address: String) -> String;
        ),
    );
    expect_file!["expanded/definition.rs"].assert_eq(&printed(expansion));
}

#[test]
fn a_block_of_activities() {
    let expansion = activity::expand_block(
        nothing(),
        quote! {
            impl Payments {
                /// Gives the money back.
                #[activity(heartbeat_timeout = "10s")]
                async fn refund(&self, cents: u64) -> Result<Self, Declined> {
                    self.log(cents);
                    Ok(self)
                }
                #[activity]
                pub(crate) fn count(&self) -> u64 { 1 }
                fn log(&self, cents: u64) {}
            }
        },
    );
    expect_file!["expanded/block.rs"].assert_eq(&printed(expansion));
}

#[test]
fn the_struct_of_a_workflow() {
    let expansion = workflow::expand(
        nothing(),
        quote! {
            /// Buys at once.
            #[derive(Default)]
            pub struct OneClickBuy { status: State<PurchaseStatus> }
        },
    );
    expect_file!["expanded/struct.rs"].assert_eq(&printed(expansion));
}

#[test]
fn the_block_of_a_workflow() {
    let expansion = workflow::expand(
        quote!(name = "one-click-buy"),
        quote! {
            impl OneClickBuy {
                #[init]
                fn new(purchase: Purchase) -> Self { Self { purchase } }

                /// Buys after ten seconds.
                #[run]
                async fn run(&self, purchase: Purchase) -> WorkflowResult<Self> {
                    select! {
                        done = sleep(TEN_SECONDS) => done?,
                    }
                }
                /// Another item.
                #[cfg(feature = "change")]
                #[signal(unfinished_policy = abandon)]
                async fn update_purchase(&self, purchase: Purchase) {}
                #[query]
                fn current_status(&self) -> PurchaseStatus { self.status.get() }
                #[update(name = "raise", validator = check)]
                fn raise_limit(&self, (cents,): (u64,)) -> Result<u64, TooMuch> { Ok(cents) }
                fn check(&self, cents: &(u64,)) -> Result<(), TooMuch> { Ok(()) }
            }
        },
    );
    expect_file!["expanded/impl.rs"].assert_eq(&printed(expansion));
}

#[test]
fn a_small_mistake_leaves_the_whole_expansion() {
    let item = quote! {
        impl Order {
            #[run]
            async fn run(&self) {}
            #[signal(nmae = "x")]
            fn cancel(&self) {}
        }
    };
    let expansion = workflow::expand(nothing(), item);
    assert_eq!(messages(expansion.clone()).len(), 2);
    assert!(expansion.to_string().contains("execute_workflow"), "{expansion}");
}

/// Items that callers name are still generated; code that would call a method with a mistake is not.
#[test]
fn a_block_with_mistakes() {
    let expansion = workflow::expand(
        nothing(),
        quote! {
            impl Order {
                #[init]
                async fn new(cents: u32) -> Self { Self { cents } }
                #[run]
                async fn run(&mut self, cents: u32, name: &str) -> u32 { cents }
                #[signal]
                fn pause(self) {}
                #[query]
                fn cents(&self) -> u32 { self.cents }
                #[query]
                fn names<T>(&self, first: T, second: u8) -> Vec<T> { Vec::new() }
                #[signal]
                #[query]
                fn name(&self) -> String { String::new() }
            }
        },
    );
    expect_file!["expanded/mistakes.rs"].assert_eq(&printed(expansion));
}
