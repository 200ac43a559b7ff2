impl OneClickBuy {
    fn new(purchase: Purchase) -> Self {
        Self { purchase }
    }
    #[doc(hidden)]
    async fn __everloop_run(&self, purchase: Purchase) -> WorkflowResult<Self> {
        #[allow(unused_imports)]
        use ::everloop::__private::{join, select};
        {
            select! {
                done = sleep(TEN_SECONDS) => done ?,
            }
        }
    }
    /// Another item.
    #[cfg(feature = "change")]
    async fn update_purchase(&self, purchase: Purchase) {}
    fn current_status(&self) -> PurchaseStatus {
        self.status.get()
    }
    fn raise_limit(&self, (cents,): (u64,)) -> Result<u64, TooMuch> {
        Ok(cents)
    }
    fn check(&self, cents: &(u64,)) -> Result<(), TooMuch> {
        Ok(())
    }
}
const _: () = {
    #[allow(unused_imports)]
    use ::everloop::__private::Plain as _;
    #[allow(unused_imports)]
    use OneClickBuy_needs_workflow_on_its_struct as OneClickBuyHandle;
    #[allow(dead_code, unreachable_pub)]
    impl OneClickBuy {
        /// Buys after ten seconds.
        #[allow(clippy::too_many_arguments)]
        #[track_caller]
        pub fn run(
            purchase: Purchase,
        ) -> ::everloop::__private::WorkflowCall<OneClickBuy> {
            ::everloop::__private::WorkflowCall::new((purchase,))
        }
    }
    struct __Messages;
    #[allow(non_upper_case_globals)]
    impl __Messages {
        #[cfg(feature = "change")]
        const update_purchase: ::everloop::__private::Message<(Purchase,), ()> = ::everloop::__private::Message {
            name: "update_purchase",
            arguments: &(::everloop::__private::codec::<Purchase>("purchase"),),
            output: ::everloop::__private::codec("result"),
        };
        const current_status: ::everloop::__private::Message<
            (),
            ::everloop::__private::ReturnsOf<
                PurchaseStatus,
                { ::everloop::__private::Returned::<PurchaseStatus>::FALLIBLE },
            >,
        > = ::everloop::__private::Message {
            name: "current_status",
            arguments: &(),
            output: ::everloop::__private::output::<
                PurchaseStatus,
                { ::everloop::__private::Returned::<PurchaseStatus>::FALLIBLE },
            >(),
        };
        const raise_limit: ::everloop::__private::Message<
            ((u64,),),
            ::everloop::__private::ReturnsOf<
                Result<u64, TooMuch>,
                { ::everloop::__private::Returned::<Result<u64, TooMuch>>::FALLIBLE },
            >,
        > = ::everloop::__private::Message {
            name: "raise",
            arguments: &(::everloop::__private::codec::<(u64,)>("argument_1"),),
            output: ::everloop::__private::output::<
                Result<u64, TooMuch>,
                { ::everloop::__private::Returned::<Result<u64, TooMuch>>::FALLIBLE },
            >(),
        };
    }
    #[allow(dead_code, unreachable_pub)]
    impl<__T: ::everloop::__private::Target> OneClickBuyHandle<__T> {
        #[cfg(feature = "change")]
        /// Another item.
        ///
        /// Sends the signal `update_purchase`: `async fn update_purchase(&self, purchase: Purchase)`.
        #[allow(clippy::too_many_arguments)]
        pub fn update_purchase(
            &self,
            purchase: Purchase,
        ) -> ::everloop::__private::SignalCall<__T> {
            ::everloop::__private::SignalCall::new(
                self,
                __Messages::update_purchase,
                (purchase,),
            )
        }
        /// Asks the query `current_status`: `fn current_status(&self) -> PurchaseStatus`.
        #[allow(clippy::too_many_arguments)]
        pub fn current_status(
            &self,
        ) -> ::everloop::__private::QueryCall<
            ::everloop::__private::ReturnsOf<
                PurchaseStatus,
                { ::everloop::__private::Returned::<PurchaseStatus>::FALLIBLE },
            >,
        >
        where
            __T: ::everloop::__private::Queries,
        {
            ::everloop::__private::QueryCall::new(self, __Messages::current_status, ())
        }
        /// Sends the update `raise`: `fn raise_limit(&self, (cents,): (u64,)) -> Result<u64, TooMuch>`.
        #[allow(clippy::too_many_arguments)]
        pub fn raise_limit(
            &self,
            argument_1: (u64,),
        ) -> ::everloop::__private::UpdateCall<
            ::everloop::__private::ReturnsOf<
                Result<u64, TooMuch>,
                { ::everloop::__private::Returned::<Result<u64, TooMuch>>::FALLIBLE },
            >,
        >
        where
            __T: ::everloop::__private::Updates,
        {
            ::everloop::__private::UpdateCall::new(
                self,
                __Messages::raise_limit,
                (argument_1,),
            )
        }
    }
    impl ::everloop::__private::Workflow for OneClickBuy {
        const NAME: &'static str = "one-click-buy";
        type Args = (Purchase,);
        type Output = ::everloop::__private::ReturnsOf<
            WorkflowResult<OneClickBuy>,
            { ::everloop::__private::Returned::<WorkflowResult<OneClickBuy>>::FALLIBLE },
        >;
        const ARGUMENTS: &'static dyn ::everloop::__private::Arguments<Self::Args> = &(
            ::everloop::__private::codec::<Purchase>("purchase"),
        );
        const OUTPUT: ::everloop::__private::Codec<Self::Output> = ::everloop::__private::output::<
            WorkflowResult<OneClickBuy>,
            { ::everloop::__private::Returned::<WorkflowResult<OneClickBuy>>::FALLIBLE },
        >();
        type Handle<__T: ::everloop::__private::Target> = OneClickBuyHandle<__T>;
        fn new(
            inputs: &[::everloop::__private::Payload],
        ) -> ::everloop::__private::Result<Self, ::everloop::__private::DecodeError> {
            let (argument_1,) = <Self as ::everloop::__private::Workflow>::ARGUMENTS
                .decode(inputs)?;
            ::everloop::__private::Ok(OneClickBuy::new(argument_1))
        }
        #[allow(deprecated)]
        fn execute_workflow(
            workflow: ::everloop::__private::Rc<Self>,
            (argument_1,): Self::Args,
        ) -> ::everloop::__private::LocalFuture<
            ::everloop::__private::Result<
                Self::Output,
                ::everloop::__private::WorkflowError,
            >,
        > {
            ::everloop::__private::Box::pin(async move {
                let settle = ::everloop::__private::settle::<
                    WorkflowResult<OneClickBuy>,
                    {
                        ::everloop::__private::Returned::<
                            WorkflowResult<OneClickBuy>,
                        >::FALLIBLE
                    },
                    false,
                    ::everloop::__private::WorkflowError,
                >;
                settle(OneClickBuy::__everloop_run(&workflow, argument_1).await)
            })
        }
        #[allow(unused_variables, deprecated)]
        fn handlers(handlers: &mut ::everloop::__private::Handlers<Self>) {
            #[cfg(feature = "change")]
            handlers
                .signal(
                    __Messages::update_purchase,
                    ::everloop::__private::UnfinishedPolicy::Abandon,
                    |workflow, (argument_1,)| ::everloop::__private::Box::pin(async move {
                        let settle = ::everloop::__private::settle_signal::<
                            (),
                            { ::everloop::__private::Returned::<()>::FALLIBLE },
                        >;
                        settle(OneClickBuy::update_purchase(&workflow, argument_1).await)
                    }),
                );
            handlers
                .query(
                    __Messages::current_status,
                    |workflow, ()| {
                        let settle = ::everloop::__private::settle::<
                            PurchaseStatus,
                            {
                                ::everloop::__private::Returned::<PurchaseStatus>::FALLIBLE
                            },
                            false,
                            ::everloop::__private::WorkflowError,
                        >;
                        settle(OneClickBuy::current_status(&workflow))
                    },
                );
            handlers
                .update(
                    __Messages::raise_limit,
                    ::everloop::__private::UnfinishedPolicy::Warn,
                    ::everloop::__private::Some(|workflow, (argument_1,)| {
                        let settle = ::everloop::__private::settle::<
                            Result<(), TooMuch>,
                            {
                                ::everloop::__private::Returned::<
                                    Result<(), TooMuch>,
                                >::FALLIBLE
                            },
                            false,
                            ::everloop::__private::WorkflowError,
                        >;
                        settle(OneClickBuy::check(workflow, argument_1))
                    }),
                    |workflow, (argument_1,)| ::everloop::__private::Box::pin(async move {
                        let settle = ::everloop::__private::settle::<
                            Result<u64, TooMuch>,
                            {
                                ::everloop::__private::Returned::<
                                    Result<u64, TooMuch>,
                                >::FALLIBLE
                            },
                            false,
                            ::everloop::__private::WorkflowError,
                        >;
                        settle(OneClickBuy::raise_limit(&workflow, argument_1))
                    }),
                );
        }
    }
};
