/// Buys at once.
#[derive(Default)]
pub struct OneClickBuy {
    status: State<PurchaseStatus>,
}
/// Reaches one run of [`OneClickBuy`]: signals, queries and updates as methods, and all of `WorkflowHandle`.
#[allow(non_camel_case_types)]
pub struct OneClickBuyHandle<
    T: ::everloop::__private::Target = ::everloop::__private::Client,
>(
    ::everloop::__private::WorkflowHandle<OneClickBuy, T>,
);
#[doc(hidden)]
#[allow(unused_imports, non_camel_case_types, unreachable_pub)]
pub use OneClickBuyHandle as OneClickBuy_needs_workflow_on_its_struct;
const _: () = {
    impl<T: ::everloop::__private::Target> ::everloop::__private::Deref
    for OneClickBuyHandle<T> {
        type Target = ::everloop::__private::WorkflowHandle<OneClickBuy, T>;
        fn deref(&self) -> &Self::Target {
            &self.0
        }
    }
    impl<
        T: ::everloop::__private::Target,
    > ::everloop::__private::From<::everloop::__private::WorkflowHandle<OneClickBuy, T>>
    for OneClickBuyHandle<T> {
        fn from(untyped: ::everloop::__private::WorkflowHandle<OneClickBuy, T>) -> Self {
            OneClickBuyHandle(untyped)
        }
    }
    impl<T: ::everloop::__private::Target> ::everloop::__private::fmt::Debug
    for OneClickBuyHandle<T> {
        fn fmt(
            &self,
            f: &mut ::everloop::__private::fmt::Formatter<'_>,
        ) -> ::everloop::__private::fmt::Result {
            ::everloop::__private::fmt::Debug::fmt(&self.0, f)
        }
    }
    impl<T: ::everloop::__private::Target> ::everloop::__private::Clone
    for OneClickBuyHandle<T> {
        fn clone(&self) -> Self {
            OneClickBuyHandle(::everloop::__private::Clone::clone(&self.0))
        }
    }
};
