//! A crate without the prelude, with strict lints, whose names hide common ones: generated code uses only
//! paths of `::everloop::__private`.
#![no_implicit_prelude]
#![deny(warnings, missing_docs, unreachable_pub, private_interfaces, private_bounds, unused, unused_qualifications)]
#![deny(missing_debug_implementations, missing_copy_implementations, clippy::all, clippy::pedantic)]
#![allow(clippy::unused_async, clippy::unused_self, reason = "methods do nothing here")]

#[allow(dead_code, reason = "they are there to be in the way")]
mod names {
    pub(crate) struct Result;
    pub(crate) struct Box;
    pub(crate) struct Some;
    pub(crate) struct Rc;
    pub(crate) fn drop(_: Result, _: Box, _: Some, _: Rc) {}
}
#[allow(unused_imports, reason = "as above")]
use names::{Box, Rc, Result, Some, drop};

/// Breaks macros that expand to unqualified calls of it.
#[macro_export]
macro_rules! stringify {
    () => {};
}

/// A module with the name of a handler, of an activity and of an argument: generated items must not hide it.
pub mod payment {
    /// An input.
    #[derive(
        ::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug, ::serde::Serialize, ::serde::Deserialize,
    )]
    pub struct Payment;
}

/// Greets.
#[::everloop::activity(start_to_close_timeout = "1m")]
pub async fn greet(name: ::std::string::String, n: u32) -> ::everloop::ActivityResult<u32> {
    ::core::mem::drop(name);
    ::std::result::Result::Ok(n)
}

/// An activity whose parameters have the names of items around it.
#[::everloop::activity]
pub fn settle(settle: u32, context: u32, args: u32, registry: u32) -> u32 {
    settle + context + args + registry
}

/// An activity with the name of a module.
#[::everloop::activity]
pub fn payment(payment: payment::Payment) -> payment::Payment {
    payment
}

/// An activity of another program.
#[::everloop::activity]
pub fn ship(r#type: u8) -> u8;

/// An activity that is visible in this crate only.
#[::everloop::activity]
pub(crate) fn inner(context: &::everloop::ActivityContext, shared: u8) -> u8 {
    let _ = context;
    shared
}

/// A workflow.
#[::everloop::workflow]
#[derive(::core::fmt::Debug, ::std::default::Default)]
pub struct Greeting {
    count: ::everloop::State<u32>,
}

#[::everloop::workflow]
impl Greeting {
    #[run]
    async fn run(&self) -> u32 {
        ::core::mem::drop(inner(1));
        self.count.get()
    }

    /// Has the name of a method of `Rc`.
    #[signal]
    fn clone(&self) {}

    /// Pays.
    #[signal]
    async fn payment(&self, payment: payment::Payment, workflow: u8, handlers: u8) {
        let _ = (payment, workflow, handlers);
    }

    /// Adds.
    #[query]
    fn borrow(&self, a: u32, settle: u32, r#fn: u32) -> u32 {
        a + settle + r#fn
    }
}

/// Works with a value.
#[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
pub struct Payments;

#[::everloop::activities]
impl Payments {
    /// Pays.
    #[activity]
    async fn payment(&self, shared: u8, payment: payment::Payment) -> payment::Payment {
        let _ = shared;
        payment
    }
}
