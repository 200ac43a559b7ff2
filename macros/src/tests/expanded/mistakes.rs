impl Order {
    async fn new(cents: u32) -> Self {
        Self { cents }
    }
    #[doc(hidden)]
    async fn __everloop_run(&mut self, cents: u32, name: &str) -> u32 {
        cents
    }
    fn pause(self) {}
    fn cents(&self) -> u32 {
        self.cents
    }
    fn names<T>(&self, first: T, second: u8) -> Vec<T> {
        Vec::new()
    }
    fn name(&self) -> String {
        String::new()
    }
}
const _: () = {
    #[allow(unused_imports)]
    use ::everloop::__private::Plain as _;
    #[allow(unused_imports)]
    use Order_needs_workflow_on_its_struct as OrderHandle;
    #[allow(dead_code)]
    type __Unknown = ::everloop::__private::ReturnsOf<
        (),
        {
            ::core::compile_error! {
                "this method is `#[signal]` already; a method has one role"
            }
        },
    >;
    #[allow(dead_code, unreachable_pub)]
    impl Order {
        /// Calls the workflow: a client starts what this makes.
        #[allow(clippy::too_many_arguments)]
        #[track_caller]
        pub fn run(
            cents: u32,
            name: __Unknown,
        ) -> ::everloop::__private::WorkflowCall<Order> {
            ::everloop::__private::WorkflowCall::new((cents, name))
        }
    }
    struct __Messages;
    #[allow(non_upper_case_globals)]
    impl __Messages {
        const pause: ::everloop::__private::Message<(), ()> = ::everloop::__private::Message {
            name: "pause",
            arguments: &(),
            output: ::everloop::__private::codec("result"),
        };
        const cents: ::everloop::__private::Message<
            (),
            ::everloop::__private::ReturnsOf<
                u32,
                { ::everloop::__private::Returned::<u32>::FALLIBLE },
            >,
        > = ::everloop::__private::Message {
            name: "cents",
            arguments: &(),
            output: ::everloop::__private::output::<
                u32,
                { ::everloop::__private::Returned::<u32>::FALLIBLE },
            >(),
        };
        const names: ::everloop::__private::Message<
            (__Unknown, u8),
            ::everloop::__private::ReturnsOf<
                __Unknown,
                { ::everloop::__private::Returned::<__Unknown>::FALLIBLE },
            >,
        > = ::everloop::__private::Message {
            name: "names",
            arguments: &(
                ::everloop::__private::codec::<__Unknown>("first"),
                ::everloop::__private::codec::<u8>("second"),
            ),
            output: ::everloop::__private::output::<
                __Unknown,
                { ::everloop::__private::Returned::<__Unknown>::FALLIBLE },
            >(),
        };
    }
    #[allow(dead_code, unreachable_pub)]
    impl<__T: ::everloop::__private::Target> OrderHandle<__T> {
        /// Sends the signal `pause`: `fn pause(self)`.
        #[allow(clippy::too_many_arguments)]
        pub fn pause(&self) -> ::everloop::__private::SignalCall<__T> {
            ::everloop::__private::SignalCall::new(self, __Messages::pause, ())
        }
        /// Asks the query `cents`: `fn cents(&self) -> u32`.
        #[allow(clippy::too_many_arguments)]
        pub fn cents(
            &self,
        ) -> ::everloop::__private::QueryCall<
            ::everloop::__private::ReturnsOf<
                u32,
                { ::everloop::__private::Returned::<u32>::FALLIBLE },
            >,
        >
        where
            __T: ::everloop::__private::Queries,
        {
            ::everloop::__private::QueryCall::new(self, __Messages::cents, ())
        }
        /// Asks the query `names`: `fn names<T>(&self, first: T, second: u8) -> Vec<T>`.
        #[allow(clippy::too_many_arguments)]
        pub fn names(
            &self,
            first: __Unknown,
            second: u8,
        ) -> ::everloop::__private::QueryCall<
            ::everloop::__private::ReturnsOf<
                __Unknown,
                { ::everloop::__private::Returned::<__Unknown>::FALLIBLE },
            >,
        >
        where
            __T: ::everloop::__private::Queries,
        {
            ::everloop::__private::QueryCall::new(
                self,
                __Messages::names,
                (first, second),
            )
        }
        pub fn name(&self) -> __Unknown {
            loop {}
        }
    }
    impl ::everloop::__private::Workflow for Order {
        const NAME: &'static str = "Order";
        type Args = (u32, __Unknown);
        type Output = ::everloop::__private::ReturnsOf<
            u32,
            { ::everloop::__private::Returned::<u32>::FALLIBLE },
        >;
        const ARGUMENTS: &'static dyn ::everloop::__private::Arguments<Self::Args> = &(
            ::everloop::__private::codec::<u32>("cents"),
            ::everloop::__private::codec::<__Unknown>("name"),
        );
        const OUTPUT: ::everloop::__private::Codec<Self::Output> = ::everloop::__private::output::<
            u32,
            { ::everloop::__private::Returned::<u32>::FALLIBLE },
        >();
        type Handle<__T: ::everloop::__private::Target> = OrderHandle<__T>;
        #[allow(unused_variables)]
        fn new(
            inputs: &[::everloop::__private::Payload],
        ) -> ::everloop::__private::Result<Self, ::everloop::__private::DecodeError> {
            loop {}
        }
        #[allow(deprecated)]
        fn execute_workflow(
            workflow: ::everloop::__private::Rc<Self>,
            _: Self::Args,
        ) -> ::everloop::__private::LocalFuture<
            ::everloop::__private::Result<
                Self::Output,
                ::everloop::__private::WorkflowError,
            >,
        > {
            loop {}
        }
        #[allow(unused_variables, deprecated)]
        fn handlers(handlers: &mut ::everloop::__private::Handlers<Self>) {
            handlers
                .query(
                    __Messages::cents,
                    |workflow, ()| {
                        let settle = ::everloop::__private::settle::<
                            u32,
                            { ::everloop::__private::Returned::<u32>::FALLIBLE },
                            false,
                            ::everloop::__private::WorkflowError,
                        >;
                        settle(Order::cents(&workflow))
                    },
                );
        }
    }
};
::core::compile_error! {
    "this method is `#[signal]` already; a method has one role"
}
::core::compile_error! {
    "`#[init]` makes the workflow's first state and waits for nothing; remove `async`, wait in `#[run]`"
}
::core::compile_error! {
    "`#[run]` takes `&self`: `run` and all handlers work on one value by turns; what changes is held in fields of type `State<..>`"
}
::core::compile_error! {
    "an input is owned, because it is sent; write `String`"
}
::core::compile_error! {
    "a signal takes `&self`: `run` and all handlers work on one value by turns; what changes is held in fields of type `State<..>`"
}
::core::compile_error! {
    "a query has one signature on the wire and cannot be generic; write the types it is used with"
}
