#[allow(clippy::too_many_arguments)]
#[track_caller]
pub(super) fn ship(
    address: String,
) -> ::durable::__private::ActivityCall<__activity_ship::ship> {
    ::durable::__private::ActivityCall::new((address,))
}
#[doc(hidden)]
#[allow(unreachable_pub)]
pub(super) mod __activity_ship {
    /// An empty type for each activity, so that calls of different activities have different types.
    #[doc(hidden)]
    #[allow(
        non_camel_case_types,
        dead_code,
        missing_debug_implementations,
        missing_copy_implementations
    )]
    pub(in super::super) enum ship {}
}
const _: () = {
    #[allow(unused_imports)]
    use ::durable::__private::Plain as _;
    impl ::durable::__private::Activity for __activity_ship::ship {
        const NAME: &'static str = "ship_parcel";
        type Args = (String,);
        type Output = ::durable::__private::ReturnsOf<
            String,
            { ::durable::__private::Returned::<String>::FALLIBLE },
        >;
        type Error = ::durable::__private::CallErrorOf<
            String,
            { ::durable::__private::Returned::<String>::TYPED },
        >;
        const ARGUMENTS: &'static dyn ::durable::__private::Arguments<Self::Args> = &(
            ::durable::__private::codec::<String>("address"),
        );
        const OUTPUT: ::durable::__private::Codec<Self::Output> = ::durable::__private::output::<
            String,
            { ::durable::__private::Returned::<String>::FALLIBLE },
        >();
        const OPTIONS: ::durable::__private::ActivityOptions = ::durable::__private::ActivityOptions::new();
        const BLOCKING: bool = false;
    }
};
