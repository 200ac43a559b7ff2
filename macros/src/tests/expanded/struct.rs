/// Buys at once.
#[derive(Default)]
pub struct OneClickBuy {
    status: State<PurchaseStatus>,
}
/// Reaches one run of [`OneClickBuy`]: signals, queries and updates as methods, and all of `WorkflowHandle`.
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
    impl<T: ::everloop::__private::Target> ::everloop::__private::Clone
    for OneClickBuyHandle<T>
    where
        ::everloop::__private::WorkflowHandle<
            OneClickBuy,
            T,
        >: ::everloop::__private::Clone,
    {
        fn clone(&self) -> Self {
            OneClickBuyHandle(::everloop::__private::Clone::clone(&self.0))
        }
    }
};
