impl Payments {
    #[doc(hidden)]
    async fn __everloop_refund(&self, cents: u64) -> Result<Self, Declined> {
        self.log(cents);
        Ok(self)
    }
    #[doc(hidden)]
    fn __everloop_count(&self) -> u64 {
        1
    }
    fn log(&self, cents: u64) {}
}
const _: () = {
    #[allow(unused_imports)]
    use ::everloop::__private::Plain as _;
    #[doc(hidden)]
    #[allow(non_camel_case_types, dead_code, unreachable_pub)]
    #[allow(missing_debug_implementations, missing_copy_implementations)]
    mod __activities {
        pub struct refund<Shared>(fn() -> Shared);
        pub struct count<Shared>(fn() -> Shared);
    }
    #[allow(dead_code, unreachable_pub)]
    impl Payments {
        /// Gives the money back.
        #[allow(clippy::too_many_arguments)]
        #[track_caller]
        pub fn refund(
            cents: u64,
        ) -> ::everloop::__private::ActivityCall<__activities::refund<Payments>> {
            ::everloop::__private::ActivityCall::new((cents,))
        }
        #[allow(clippy::too_many_arguments)]
        #[track_caller]
        pub(crate) fn count() -> ::everloop::__private::ActivityCall<
            __activities::count<Payments>,
        > {
            ::everloop::__private::ActivityCall::new(())
        }
    }
    impl ::everloop::__private::Activity for __activities::refund<Payments> {
        const NAME: &'static str = "refund";
        type Args = (u64,);
        type Output = ::everloop::__private::ReturnsOf<
            Result<Payments, Declined>,
            { ::everloop::__private::Returned::<Result<Payments, Declined>>::FALLIBLE },
        >;
        type Error = ::everloop::__private::CallErrorOf<
            Result<Payments, Declined>,
            { ::everloop::__private::Returned::<Result<Payments, Declined>>::TYPED },
        >;
        const ARGUMENTS: &'static dyn ::everloop::__private::Arguments<Self::Args> = &(
            ::everloop::__private::codec::<u64>("cents"),
        );
        const OUTPUT: ::everloop::__private::Codec<Self::Output> = ::everloop::__private::output::<
            Result<Payments, Declined>,
            { ::everloop::__private::Returned::<Result<Payments, Declined>>::FALLIBLE },
        >();
        const OPTIONS: ::everloop::__private::ActivityOptions = ::everloop::__private::ActivityOptions::new()
            .heartbeat_timeout(::everloop::__private::Duration::new(10u64, 0u32));
        const BLOCKING: bool = false;
    }
    impl ::everloop::__private::MethodActivity for __activities::refund<Payments> {
        type Shared = Payments;
        #[allow(unused_variables)]
        fn execute_activity(
            shared: ::everloop::__private::Arc<Payments>,
            context: ::everloop::__private::ActivityContext,
            (argument_1,): Self::Args,
        ) -> ::everloop::__private::SendFuture<
            ::everloop::__private::Result<
                Self::Output,
                ::everloop::__private::ActivityError,
            >,
        > {
            ::everloop::__private::Box::pin(async move {
                let settle = ::everloop::__private::settle::<
                    Result<Payments, Declined>,
                    {
                        ::everloop::__private::Returned::<
                            Result<Payments, Declined>,
                        >::FALLIBLE
                    },
                    {
                        ::everloop::__private::Returned::<
                            Result<Payments, Declined>,
                        >::TYPED
                    },
                    ::everloop::__private::ActivityError,
                >;
                settle(Payments::__everloop_refund(&shared, argument_1).await)
            })
        }
    }
    impl ::everloop::__private::Activity for __activities::count<Payments> {
        const NAME: &'static str = "count";
        type Args = ();
        type Output = ::everloop::__private::ReturnsOf<
            u64,
            { ::everloop::__private::Returned::<u64>::FALLIBLE },
        >;
        type Error = ::everloop::__private::CallErrorOf<
            u64,
            { ::everloop::__private::Returned::<u64>::TYPED },
        >;
        const ARGUMENTS: &'static dyn ::everloop::__private::Arguments<Self::Args> = &();
        const OUTPUT: ::everloop::__private::Codec<Self::Output> = ::everloop::__private::output::<
            u64,
            { ::everloop::__private::Returned::<u64>::FALLIBLE },
        >();
        const OPTIONS: ::everloop::__private::ActivityOptions = ::everloop::__private::ActivityOptions::new();
        const BLOCKING: bool = true;
    }
    impl ::everloop::__private::MethodActivity for __activities::count<Payments> {
        type Shared = Payments;
        #[allow(unused_variables)]
        fn execute_activity(
            shared: ::everloop::__private::Arc<Payments>,
            context: ::everloop::__private::ActivityContext,
            (): Self::Args,
        ) -> ::everloop::__private::SendFuture<
            ::everloop::__private::Result<
                Self::Output,
                ::everloop::__private::ActivityError,
            >,
        > {
            ::everloop::__private::Box::pin(async move {
                let settle = ::everloop::__private::settle::<
                    u64,
                    { ::everloop::__private::Returned::<u64>::FALLIBLE },
                    { ::everloop::__private::Returned::<u64>::TYPED },
                    ::everloop::__private::ActivityError,
                >;
                settle(Payments::__everloop_count(&shared))
            })
        }
    }
    impl ::everloop::__private::Activities for Payments {
        fn register(self, registry: &mut ::everloop::__private::Registry) {
            let shared = ::everloop::__private::Arc::new(self);
            registry.method::<__activities::refund<Payments>>(&shared);
            registry.method::<__activities::count<Payments>>(&shared);
        }
    }
};
::core::compile_error! {
    "without a context this activity cannot heartbeat, so each attempt would end after this time; take `ctx: &ActivityContext` and call `ctx.heartbeat(..)`, write `heartbeat = auto`, or leave `heartbeat_timeout` out"
}
