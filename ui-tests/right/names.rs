//! Modules, types and values with the names of activities, handlers and arguments.

use everloop::prelude::*;

mod charge {
    use everloop::prelude::*;

    pub mod payment {
        use everloop::prelude::*;

        #[derive(Clone, Serialize, Deserialize)]
        pub struct Payment(pub u32);
    }

    #[activity]
    pub async fn charge(payment: payment::Payment) -> ActivityResult<u32> {
        Ok(payment.0)
    }

    // Beside `mod payment`, with an input of the same name.
    #[activity]
    pub fn payment(payment: payment::Payment) -> u32 {
        payment.0
    }

    pub struct Shop;

    #[activities]
    impl Shop {
        #[activity]
        async fn payment(&self, payment: payment::Payment) -> u32 {
            payment.0
        }
    }

    #[workflow]
    #[derive(Default)]
    pub struct Sale {
        pub paid: State<u32>,
    }

    #[workflow]
    impl Sale {
        #[run]
        async fn sell(&self, sell: u32) -> u32 {
            sell
        }
        #[signal]
        pub fn payment(&self, payment: payment::Payment) {
            self.paid.set(payment.0);
        }
        // Names of trait methods that `Rc` and handles have.
        #[signal]
        fn clone(&self) {}
        #[query]
        fn borrow(&self) -> u32 {
            1
        }
        #[query]
        fn deref(&self) -> u32 {
            1
        }
        #[query]
        pub fn r#type(&self, r#type: u32) -> u32 {
            r#type
        }
        #[update]
        fn __workflow(&self, workflow: u32, handlers: u32, settle: u32) -> u32 {
            workflow + handlers + settle
        }
    }
}
// Beside `mod charge`.
pub use charge::{charge, payment};

fn a_helper_that_returns_a_call(
    amount: u32,
) -> ActivityCall<impl activity::Activity<Args = (payment::Payment,), Output = u32>> {
    charge(payment::Payment(amount))
}

#[activity]
fn r#loop(r#loop: u32) -> u32 {
    r#loop
}

fn name<A: activity::Activity>(_: ActivityCall<A>) -> &'static str {
    A::NAME
}

#[test]
fn names_on_the_wire_are_the_plain_ones() {
    assert_eq!(name(a_helper_that_returns_a_call(1)), "charge");
    assert_eq!(name(r#loop(1)), "loop");
    assert_eq!(name(payment(payment::Payment(1))), "payment");
    assert_eq!(name(charge::Shop::payment(payment::Payment(1))), "payment");
    let _ = |client: &Client| {
        Worker::builder(client, "q").activity(charge).activity(payment).activity(r#loop).activities(charge::Shop)
    };
    let sale = charge::Sale::default();
    sale.payment(payment::Payment(5));
    assert_eq!((sale.paid.get(), sale.r#type(6)), (5, 6));
    drop(charge::Sale::sell(7));
}

#[test]
fn items_stand_in_functions_too() {
    #[derive(Serialize, Deserialize)]
    struct Local;

    #[activity]
    async fn work(_local: Local) {}

    #[workflow]
    #[derive(Default)]
    struct Flow {}

    #[workflow]
    impl Flow {
        #[run]
        async fn run(&self) -> WorkflowResult<()> {
            Ok(work(Local).await?)
        }
        #[signal]
        fn poke(&self, _local: Local) {}
    }

    struct Value;

    #[activities]
    impl Value {
        #[activity]
        fn act(&self, _local: Local) {}
    }

    let _ = |client: &Client| Worker::builder(client, "q").activity(work).workflow::<Flow>().activities(Value);
    let _ = async |handle: FlowHandle| handle.poke(Local).await;
    assert_eq!(name(Value::act(Local)), "act");
}
