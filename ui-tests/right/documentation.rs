//! Docs, deprecation, `cfg` and visibility apply to the items that callers use.
#![deny(missing_docs)]

use everloop::prelude::*;

/// Public items, to which the lint applies.
pub mod documented {
    use everloop::prelude::*;

    /// Greets.
    #[cfg(not(any()))]
    #[deprecated = "say hello"]
    #[activity]
    pub async fn greet(name: String) -> String {
        name
    }

    /// Removed by `cfg`; its types do not exist.
    #[activity]
    #[cfg(any())]
    pub async fn absent(name: Nothing) -> Nothing {
        name
    }

    /// A workflow.
    #[workflow]
    #[derive(Default)]
    pub struct Documented {}

    #[workflow]
    impl Documented {
        // The constructor has generated documentation.
        #[run]
        async fn run(&self) {}

        #[cfg(any())]
        #[signal]
        fn absent(&self, what: Nothing) {}

        #[cfg(not(any()))]
        #[signal]
        fn either(&self) {}
        #[cfg(any())]
        #[signal]
        fn either(&self, what: Nothing) {}

        /// The number of queries.
        #[query]
        #[deprecated = "ask less"]
        pub fn asked(&self) -> u32 {
            1
        }
    }

    /// Works with a value.
    pub struct Value;

    #[activities]
    impl Value {
        /// Works.
        #[activity]
        fn work(&self) {}

        #[cfg(any())]
        #[activity]
        fn absent(&self, what: Nothing) {}

        #[deprecated]
        #[activity]
        /// Worked.
        fn worked(&self) {}
    }
}

#[allow(deprecated)]
use documented::greet as hello;

#[test]
#[allow(deprecated)]
fn a_renamed_import_brings_call_and_registration() {
    let _ = |client: &Client| Worker::builder(client, "q").activity(hello).activities(documented::Value);
    drop((hello("ada".into()), documented::Value::worked(), documented::Value::work()));
    assert_eq!(documented::Documented::default().asked(), 1);
}
