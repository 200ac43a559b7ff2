//! Private activities and workflows accept private inputs, in every notation of privacy.

mod deep {
    pub(super) mod er {
        use everloop::prelude::*;

        #[derive(Serialize, Deserialize)]
        struct Mine;
        #[derive(Serialize, Deserialize)]
        pub(super) struct Theirs;

        #[activity]
        async fn private(_: Mine) {}
        #[activity]
        pub(self) async fn private_in_words(_: Mine) {}
        #[activity]
        pub(super) async fn of_parent(_: Theirs) {}
        #[activity]
        pub(in super::super) async fn of_grandparent(_: u8) {}
        #[activity]
        pub(in crate::visibility::deep) async fn of_path(_: Theirs) {}
        #[activity]
        pub(crate) async fn of_crate(_: u8) {}
        #[activity]
        pub(self) async fn of_self(_: Mine) {}

        struct Value;

        #[activities]
        impl Value {
            #[activity]
            fn act(&self, _: Mine) -> Mine {
                Mine
            }
        }

        #[workflow]
        struct Flow(Mine);

        #[workflow]
        impl Flow {
            #[init]
            fn new(mine: Mine) -> Self {
                Self(mine)
            }
            #[run]
            async fn run(&self, mine: Mine) -> Mine {
                let Mine = self.0;
                mine
            }
            #[signal]
            fn poke(&self, _: Mine, _: (Mine, Mine)) -> WorkflowResult<()> {
                Ok(())
            }
            #[query]
            fn own(&self) -> Mine {
                Mine
            }
        }

        pub(super) fn all() {
            drop((private(Mine), private_in_words(Mine), of_self(Mine), Value::act(Mine), Flow::run(Mine)));
            let _ = |client: &Client| Worker::builder(client, "q").workflow::<Flow>().activities(Value);
        }
    }

    pub(super) fn all() {
        drop((er::of_parent(er::Theirs), er::of_path(er::Theirs)));
        er::all();
    }
}

#[test]
fn calls_are_as_visible_as_their_functions() {
    deep::all();
    drop((deep::er::of_grandparent(1), deep::er::of_crate(1)));
}
