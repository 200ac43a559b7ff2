//! All operations at once, in random order.

use everloop::client::History;
use everloop::prelude::*;

use super::{SHORT, fail_at_first, work};
use crate::recorded::stage::{Stage, recordings};

recordings! { storm: Harbour }

#[workflow]
#[derive(Default)]
struct Harbour {
    ships: State<Vec<String>>,
    is_closed: State<bool>,
}

#[workflow]
impl Harbour {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<String>> {
        let lighthouse = workflow::this::<Self>();
        drop(spawn(async move {
            while !lighthouse.is_closed.get() {
                if timeout(SHORT, work(workflow::random_range(0..50) as u32)).await.is_err() {
                    lighthouse.ships.push("missed".to_owned());
                }
                sleep(Duration::from_millis(workflow::random_range(0..40))).await.ok();
            }
        }));
        let (slept, done) = join!(sleep(SHORT), fail_at_first(1));
        slept?;
        done?;
        wait_condition(|| self.is_closed.get() && workflow::all_handlers_finished()).await?;
        self.ships.push(workflow::uuid().to_string());
        Ok(self.ships.get())
    }

    #[signal]
    async fn arrive(&self, ship: String) -> WorkflowResult<()> {
        sleep(Duration::from_millis(workflow::random_range(0..20))).await?;
        self.ships.push(format!("{ship} arrives"));
        Ok(())
    }

    #[update(validator = fits)]
    async fn unload(&self, ship: u32) -> WorkflowResult<u32> {
        let unloaded = select! {
            unloaded = work(ship) => unloaded?,
            slept = sleep(Duration::from_millis(workflow::random_range(1..60))) => { slept?; 0 }
        };
        self.ships.push(format!("{ship} gives {unloaded}"));
        Ok(unloaded)
    }

    fn fits(&self, ship: &u32) -> WorkflowResult<()> {
        match ship % 4 {
            3 => Err(WorkflowError::new("it is too long")),
            _ => Ok(()),
        }
    }

    #[signal]
    fn close(&self) {
        self.is_closed.set(true);
    }

    #[query]
    fn ships(&self) -> Vec<String> {
        self.ships.get()
    }
}

async fn storm(stage: Stage) -> History {
    stage
        .with_worker(async {
            let harbour = stage.client.start(Harbour::run()).id(&stage.id).await.unwrap();
            let mut calls = tokio::task::JoinSet::new();
            for ship in 0..8 {
                let harbour = harbour.clone();
                calls.spawn(async move {
                    harbour.arrive(ship.to_string()).await.unwrap();
                    assert_eq!(harbour.unload(ship).await.is_ok(), ship % 4 != 3);
                    harbour.ships().await.unwrap();
                });
            }
            calls.join_all().await;
            harbour.close().await.unwrap();
            assert!(harbour.result().await.unwrap().len() > 13);
            harbour.history().await.unwrap()
        })
        .await
}
