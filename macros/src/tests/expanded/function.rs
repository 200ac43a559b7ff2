#[cfg(feature = "shop")]
/// Charges the customer.
#[allow(clippy::too_many_arguments)]
#[track_caller]
pub fn charge(
    card: Card,
    argument_2: u64,
) -> ::everloop::__private::ActivityCall<__activity_charge::charge> {
    ::everloop::__private::ActivityCall::new((card, argument_2))
}
#[cfg(feature = "shop")]
#[doc(hidden)]
#[allow(unreachable_pub)]
pub mod __activity_charge {
    /// An empty type for each activity, so that calls of different activities have different types.
    #[doc(hidden)]
    #[allow(
        non_camel_case_types,
        dead_code,
        missing_debug_implementations,
        missing_copy_implementations
    )]
    pub enum charge {}
}
#[cfg(feature = "shop")]
const _: () = {
    #[allow(unused_imports)]
    use ::everloop::__private::Plain as _;
    #[tracing::instrument]
    async fn charge(
        ctx: &ActivityContext,
        mut card: Card,
        _: u64,
    ) -> ActivityResult<Receipt> {
        card.charge(ctx).await
    }
    impl ::everloop::__private::FunctionActivity for __activity_charge::charge {
        #[allow(unused_variables)]
        fn execute_activity(
            context: ::everloop::__private::ActivityContext,
            (argument_1, argument_2): Self::Args,
        ) -> ::everloop::__private::SendFuture<
            ::everloop::__private::Result<
                Self::Output,
                ::everloop::__private::ActivityError,
            >,
        > {
            ::everloop::__private::Box::pin(async move {
                let settle = ::everloop::__private::settle::<
                    ActivityResult<Receipt>,
                    {
                        ::everloop::__private::Returned::<
                            ActivityResult<Receipt>,
                        >::FALLIBLE
                    },
                    {
                        ::everloop::__private::Returned::<ActivityResult<Receipt>>::TYPED
                    },
                    ::everloop::__private::ActivityError,
                >;
                settle(
                    charge(
                            <ActivityContext as ::everloop::__private::Context>::context(
                                &context,
                            ),
                            argument_1,
                            argument_2,
                        )
                        .await,
                )
            })
        }
    }
    impl ::everloop::__private::Activity for __activity_charge::charge {
        const NAME: &'static str = "charge";
        type Args = (Card, u64);
        type Output = ::everloop::__private::ReturnsOf<
            ActivityResult<Receipt>,
            { ::everloop::__private::Returned::<ActivityResult<Receipt>>::FALLIBLE },
        >;
        type Error = ::everloop::__private::CallErrorOf<
            ActivityResult<Receipt>,
            { ::everloop::__private::Returned::<ActivityResult<Receipt>>::TYPED },
        >;
        const ARGUMENTS: &'static dyn ::everloop::__private::Arguments<Self::Args> = &(
            ::everloop::__private::codec::<Card>("card"),
            ::everloop::__private::codec::<u64>("argument_2"),
        );
        const OUTPUT: ::everloop::__private::Codec<Self::Output> = ::everloop::__private::output::<
            ActivityResult<Receipt>,
            { ::everloop::__private::Returned::<ActivityResult<Receipt>>::FALLIBLE },
        >();
        const OPTIONS: ::everloop::__private::ActivityOptions = ::everloop::__private::ActivityOptions::new()
            .start_to_close_timeout(::everloop::__private::Duration::new(60u64, 0u32))
            .retry_policy(
                ::everloop::__private::RetryPolicy::new().maximum_attempts(5u32),
            );
        const BLOCKING: bool = false;
    }
};
