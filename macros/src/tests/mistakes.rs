//! Rejected programs, by message. `ui-tests` checks that each message is at the right token.

use expect_test::{Expect, expect};
use proc_macro2::TokenStream;
use quote::quote;

use super::messages;
use crate::{activity, workflow};

fn check(expansion: TokenStream, expected: Expect) {
    expected.assert_eq(&messages(expansion).join("\n"));
}

/// One method of a block that is otherwise correct.
fn method(method: TokenStream) -> TokenStream {
    workflow::expand(TokenStream::new(), quote!(impl Order { #[run] async fn run(&self) {} #method }))
}

/// One statement of `run`.
fn statement(statement: TokenStream) -> TokenStream {
    workflow::expand(TokenStream::new(), quote!(impl Order { #[run] async fn run(&self) { #statement } }))
}

#[test]
fn every_mistake_is_reported() {
    let expansion = activity::expand_function(
        quote!(retries = 5, start_to_close_timeout = 60, heartbeat_timeout = "soon", cancellation_type = ask),
        quote!(
            unsafe fn charge<T>(card: &str, other: &str, amount: Option<&'static str>) -> impl Clone {}
        ),
    );
    check(
        expansion,
        expect![[r#"
            `start_to_close_timeout` is a string: `start_to_close_timeout = "1m"`
            not a duration (expected number at 0); write for example "10s", "250ms", "1h 30m"
            expected `try_cancel`, `wait_cancellation_completed` or `abandon`, as in `cancellation_type = try_cancel`
            unknown option `retries`; `#[activity]` takes `name`, `start_to_close_timeout`, `schedule_to_close_timeout`, `schedule_to_start_timeout`, `heartbeat_timeout`, `heartbeat`, `retry_policy`, `cancellation_type` and `crate`
            an activity has one signature on the wire and cannot be generic; write the types it is used with
            an activity cannot be `unsafe`; remove it
            an input is owned, because it is sent; write `String`
            an input is owned, because it is sent; write `String`
            an input is owned, because it is sent; write `String`
            a result has one type on the wire; write it in place of `impl ..`"#]],
    );
}

#[test]
fn durations_and_retries_make_sense() {
    let options = quote!(
        start_to_close_timeout = "0s",
        retry_policy(initial_interval = "2 fortnights", backoff_coefficient = 0.5, maximum_attempts = -1, attempts = 3)
    );
    check(
        activity::expand_function(
            options,
            quote!(
                fn charge();
            ),
        ),
        expect![[r#"
            `start_to_close_timeout` is longer than zero; leave it out for none
            `backoff_coefficient` is at least 1: each wait is that many times the one before
            not a duration (unknown time unit "fortnights", supported units: ns, us/µs, ms, sec, min, hours, days, weeks, months, years (and few variations)); write for example "10s", "250ms", "1h 30m"
            `maximum_attempts` is a whole number up to 2147483647: `maximum_attempts = 5`
            unknown option `attempts`; `retry_policy` takes `initial_interval`, `backoff_coefficient`, `maximum_interval`, `maximum_attempts` and `non_retryable_error_types`"#]],
    );
}

#[test]
fn names_are_the_user_s_own() {
    check(
        activity::expand_function(
            quote!(name = "", name = "a"),
            quote!(
                fn charge();
            ),
        ),
        expect![[r#"
        `name` is given twice; remove one
        a name has at least one character; leave it out for the item's own"#]],
    );
    check(
        activity::expand_function(
            quote!(name = "__temporal_x"),
            quote!(
                fn charge();
            ),
        ),
        expect!["names that start with `__temporal_` belong to the protocol; choose another"],
    );
    check(
        method(quote!(
            #[signal]
            fn result(&self) {}
        )),
        expect![[
            r#"`result` is a method of every workflow handle, which this signal would hide; rename it and keep the name on the wire: `#[signal(name = "result")] fn request_result`"#
        ]],
    );
}

/// A method added to the handle later would be silently hidden by a handler of its name.
#[test]
fn every_method_of_a_handle_is_reserved() {
    let sources = [
        include_str!("../../../runtime/src/client/activity_control.rs"),
        include_str!("../../../runtime/src/client/handle.rs"),
        include_str!("../../../runtime/src/client/message.rs"),
        include_str!("../../../runtime/src/client/outcome.rs"),
        include_str!("../../../runtime/src/client/update.rs"),
        include_str!("../../../runtime/src/workflow/child.rs"),
        include_str!("../../../runtime/src/workflow/external.rs"),
    ];
    let blocks = sources.iter().flat_map(|source| source.split("\nimpl").skip(1));
    let signatures = blocks
        .filter(|block| block.lines().next().is_some_and(|head| head.contains("WorkflowHandle<")))
        .flat_map(|block| block.lines().map(str::trim))
        .filter_map(|line| line.strip_prefix("pub fn ").or_else(|| line.strip_prefix("pub async fn ")));
    let names: Vec<&str> = signatures.filter_map(|signature| signature.split(['(', '<']).next()).collect();
    assert!(names.contains(&"result") && names.contains(&"cancel"), "the methods are found: {names:?}");
    let free: Vec<_> = names.iter().filter(|name| !workflow::RESERVED.contains(name)).collect();
    assert!(free.is_empty(), "add to `RESERVED`: {free:?}");
}

#[test]
fn two_of_a_name_are_one_too_many() {
    check(
        method(quote! {
            #[signal] fn pause(&self) {}
            #[signal(name = "pause")] fn stop(&self) {}
            #[query(name = "pause")] fn paused(&self) -> bool { true }
        }),
        expect!["two signals are called `pause`; give one another name"],
    );
    check(
        method(quote! {
            #[cfg(unix)] #[signal] fn pause(&self) {}
            #[cfg(windows)] #[signal] fn pause(&self) {}
        }),
        expect![""],
    );
}

#[test]
fn nondeterministic_calls_are_found_everywhere_in_a_body() {
    check(
        statement(quote!(let now = SystemTime::now();)),
        expect![[
            r#"`SystemTime::now` gives another time on replay: write `workflow::now()`, the workflow's own clock; if it does no harm here, write `#[allow_nondeterminism("why")]` on the statement"#
        ]],
    );
    check(
        statement(quote!(println!("{}", std::env::var("HOME").unwrap());)),
        expect![[
            r#"`std::env::var` can differ on replay, which may be on another machine: pass the value as an input, or read it in an `#[activity]`; if it does no harm here, write `#[allow_nondeterminism("why")]` on the statement"#
        ]],
    );
    check(
        statement(quote!(
            use tokio::{time::sleep, sync::oneshot};
        )),
        expect![[
            r#"`tokio::time::sleep` is forgotten when the worker stops: write `sleep(..)`, a timer that lasts; if it does no harm here, write `#[allow_nondeterminism("why")]` on the statement"#
        ]],
    );
    check(
        statement(quote!(tokio::select! { _ = a => rand::random(), }; futures::join!(a, b);)),
        expect![[r#"
        `tokio::select!` polls its branches in random order: write `select!` alone, which polls in written order; if it does no harm here, write `#[allow_nondeterminism("why")]` on the statement
        `rand::random` gives another number on replay: write `workflow::random()`, the workflow's own source; if it does no harm here, write `#[allow_nondeterminism("why")]` on the statement"#]],
    );
    check(
        statement(quote!(let it = async { std::fs::read("x") };)),
        expect![[
            r#"`std::fs::read` reaches outside the workflow, and again on every replay: do it in an `#[activity]`; if it does no harm here, write `#[allow_nondeterminism("why")]` on the statement"#
        ]],
    );
}

#[test]
fn deterministic_calls_with_similar_names_pass() {
    for harmless in [
        quote!(let now = now(); self.spawn(); state.time.now();),
        quote!(let (sender, receiver) = tokio::sync::oneshot::channel::<tokio::time::Duration>();),
        quote!(select! { x = a => (), }; join!(a, b); tokio::pin!(a);),
        quote!(let address = std::net::Ipv4Addr::LOCALHOST; let rng = rand::rngs::StdRng::seed_from_u64(5);),
        quote!(println!("{}", env!("CARGO_PKG_NAME"));),
    ] {
        assert_eq!(messages(statement(harmless.clone())), [""; 0], "{harmless}");
    }
}

#[test]
fn it_is_allowed_with_a_reason() {
    for allowed in [
        quote!(#[allow_nondeterminism("logged")] let now = Instant::now();),
        quote!(#[everloop::allow_nondeterminism("logged")] println!("{:?}", Instant::now());),
        quote!(#[allow_nondeterminism("logged")] now = Instant::now();),
        quote!(
            #[allow_nondeterminism("logged")]
            {
                Instant::now();
            }
        ),
    ] {
        let expansion = statement(allowed.clone());
        assert_eq!(messages(expansion.clone()), [""; 0], "{allowed}");
        assert!(!expansion.to_string().contains("allow_nondeterminism"), "{expansion}");
    }
    check(
        statement(quote!(select! { _ = a => {
            #[allow_nondeterminism("logged")]
            println!("{:?}", Instant::now());
            Instant::now();
        } })),
        expect![[
            r#"`Instant::now` gives another time on replay: write `workflow::now()`, the workflow's own clock; if it does no harm here, write `#[allow_nondeterminism("why")]` on the statement"#
        ]],
    );
    check(
        statement(quote!(#[allow_nondeterminism] let now = Instant::now();)),
        expect![[r#"say why it does no harm: `#[allow_nondeterminism("only logged")]`"#]],
    );
    check(
        method(quote!(
            #[allow_nondeterminism("a test helper")]
            fn helper(&self) {
                std::thread::yield_now()
            }
        )),
        expect![""],
    );
}

#[test]
fn readers_cannot_write() {
    check(
        method(quote!(
            #[query]
            fn a(&self) -> u32 {
                self.n.update(|n| *n + 1);
                self.n.replace(3)
            }
        )),
        expect![[r#"
        a query only reads, and this writes `n`: nothing it changes would be in the history; write in a `#[signal]` or an `#[update]`
        a query only reads, and this writes `n`: nothing it changes would be in the history; write in a `#[signal]` or an `#[update]`"#]],
    );
    check(
        method(quote!(
            #[query]
            fn b(&self) -> String {
                self.name.replace("a", "b")
            }
        )),
        expect![""],
    );
    check(
        method(quote!(
            #[update(validator = c)]
            fn d(&self) {}
            fn c(&self) -> R {
                self.n.take()
            }
        )),
        expect![
            "a validator only reads, and this writes `n`: nothing it changes would be in the history; write in a `#[signal]` or an `#[update]`"
        ],
    );
}

#[test]
fn a_validator_mirrors_its_update() {
    let update =
        |validator: TokenStream| method(quote!(#[update(validator = check)] fn raise(&self, by: u32) {} #validator));
    check(
        update(quote!(
            fn check(&self, by: &u32) -> WorkflowResult<()> {
                Ok(())
            }
        )),
        expect![""],
    );
    check(
        update(quote!()),
        expect!["no method `check` in this block; write `fn check(&self, by: &u32) -> WorkflowResult<()>`"],
    );
    check(
        update(quote!(
            async fn check(&self, by: u32) {}
        )),
        expect![[r#"
        a validator decides at once, before the update is in the history; remove `async`
        a validator rejects by returning an error: `fn check(&self, by: &u32) -> WorkflowResult<()>`
        a validator only looks at the arguments: write `&u32`"#]],
    );
    check(
        update(quote!(
            fn check(&self) -> WorkflowResult<()> {}
        )),
        expect![
            "a validator takes a reference to each argument of its update: `fn check(&self, by: &u32) -> WorkflowResult<()>`"
        ],
    );
    check(
        update(quote!(
            #[query]
            fn check(&self) -> u32 {
                1
            }
        )),
        expect![
            "`check` is `#[query]`; a validator is a method without an attribute: `fn check(&self, by: &u32) -> WorkflowResult<()>`"
        ],
    );
}

#[test]
fn assignment_to_a_field_is_reported_once_and_leaves_the_body() {
    let expansion =
        statement(quote!(#![allow(unused)] self.total = 1; async { self.limits.upper += 2 }; let total = 3;));
    check(
        expansion.clone(),
        expect![[r#"
            `self` is shared, so its fields are not assigned: make `total` a `State<..>`, and write `self.total.set(..)`
            `self` is shared, so its fields are not assigned: make `limits` a `State<..>`, and write `self.limits.update(|limits| limits.upper += ..)`"#]],
    );
    let expansion = expansion.to_string();
    assert!(expansion.contains(&quote!(let total = 3;).to_string()), "{expansion}");
    assert!(expansion.contains(&quote!(#![allow(unused)]).to_string()), "{expansion}");
    assert!(!expansion.contains(&quote!(self.total = 1).to_string()), "{expansion}");
    for right in [
        quote!(
            fn build(mut self) -> Self {
                self.total = 1;
                self
            }
        ),
        quote!(
            fn other(&self) {
                impl Other {
                    fn set(&mut self) {
                        self.total = 1;
                    }
                }
                *self.total.borrow_mut() = 1;
            }
        ),
    ] {
        assert_eq!(messages(method(right.clone())), [""; 0], "{right}");
    }
}
