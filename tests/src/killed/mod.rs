//! A worker process that is killed as soon as a purchase has a given number of events, and restarted.
//!
//! The test program starts itself as the worker. A kill (SIGKILL) thus has the effects of a crash: the cache and tasks under way
//! are lost, and connections are not closed properly. The purchase must end like one without a kill.

mod process;
mod purchase;
mod shop;
mod watch;

use std::{fmt, time::Duration};

use everloop::client::History;
use everloop::{Client, testing::Replayer};
use everloop_proto::well_formed;
use process::WorkerProcess;
use purchase::{OneClickBuy, Purchase, PurchaseStatus};
use shop::{Order, Shop};
use tokio::{join, time::timeout};
use uuid::Uuid;
use watch::Watch;

use crate::{
    recorded::cuts,
    target::{Connection, RUNTIME, Target},
};

/// Timeout of a purchase, long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(100);

/// Timeout of a task, after which the task of a killed worker is given to another one.
const TASK_TIMEOUT: Duration = Duration::from_secs(5);

/// The test's name, which a worker process gets as its filter.
const TEST: &str = "killed::a_purchase_survives_its_worker";

#[test]
fn a_purchase_survives_its_worker() {
    process::run_worker_if_started_as_one();
    for target in Target::all().into_iter().filter(|target| !target.is_in_process()) {
        let (address, connection) = RUNTIME.block_on(async { (target.address().await, target.connect().await) });
        let start = |kill: Kill| {
            let (address, connection) = (address.clone(), connection.clone());
            RUNTIME.spawn(async move {
                let bought = timeout(PATIENCE, buy(address, connection, kill)).await;
                bought.unwrap_or_else(|_| panic!("no end after {PATIENCE:?}"))
            })
        };
        let of = |kill: Kill| format!("a purchase on {target:?} whose worker is killed {kill}");

        let undisturbed = RUNTIME.block_on(start(Kill::Never)).expect("a purchase succeeds");
        check(&of(Kill::Never), &undisturbed, &undisturbed.history);
        let kills = (1..=undisturbed.history.len()).map(Kill::AfterEvent).chain([Kill::InTheShop]);
        // All purchases are started before the first one is awaited.
        for (kill, bought) in kills.map(|kill| (kill, start(kill))).collect::<Vec<_>>() {
            let bought = RUNTIME.block_on(bought).unwrap_or_else(|error| panic!("{}: {error}", of(kill)));
            check(&of(kill), &bought, &undisturbed.history);
        }
    }
}

/// When the worker is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kill {
    Never,
    /// As soon as there are that many events.
    AfterEvent(usize),
    /// When the shop has received the first order, and has not responded.
    InTheShop,
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::AfterEvent(event) => write!(f, "after event {event}"),
            Self::InTheShop => f.write_str("in the shop"),
        }
    }
}

/// The outcome of a purchase.
struct Bought {
    status: PurchaseStatus,
    /// The result of the workflow's query, after its end.
    status_told: PurchaseStatus,
    history: History,
    orders: Vec<Order>,
}

/// Buys a red lamp, changes it to a green one, and kills the worker in the middle.
async fn buy(address: String, connection: Connection, kill: Kill) -> Bought {
    let mut shop = Shop::open(kill == Kill::InTheShop).await;
    let name = format!("killed-{}", Uuid::new_v4());
    let client = Client::builder(&address).identity("customer").task_queue(&name).await.expect("the server is there");
    let mut worker = WorkerProcess::start(TEST, &address, &name, shop.address()).await;
    let start = client.start(OneClickBuy::run(Purchase::of("red lamp"))).id(&name).task_timeout(TASK_TIMEOUT);
    let buy = start.await.expect("it starts");

    let customer = async {
        Watch::new(connection.clone(), &name).until(|event| event.name() == "TimerStarted").await;
        buy.update_purchase(Purchase::of("green lamp")).await.expect("there is time to change it");
    };
    let murder = async {
        match kill {
            Kill::Never => return,
            Kill::AfterEvent(number) => Watch::new(connection.clone(), &name).until(|event| event.id() >= number).await,
            Kill::InTheShop => shop.first_order().await,
        }
        worker.kill().await;
        worker = WorkerProcess::start(TEST, &address, &name, shop.address()).await;
    };
    join!(customer, murder);

    let status = buy.result().await.expect("the purchase succeeds");
    let status_told = buy.current_status().await.expect("a worker is there to answer");
    let history = buy.history().await.expect("it is there");
    worker.kill().await;
    Bought { status, status_told, history, orders: shop.orders() }
}

/// Checks the outcome, and that it equals the outcome without a kill.
fn check(of: &str, bought: &Bought, undisturbed: &History) {
    let Bought { status, status_told, history, orders } = bought;
    let shown = || format!("{of}: the shop had {orders:?}, and history is\n{}", history.timeline());
    assert_eq!((status, status_told), (&PurchaseStatus::Completed, &PurchaseStatus::Completed), "{}", shown());
    assert!(orders.iter().all(|order| order.item == "green lamp"), "{}", shown());
    assert!(orders.iter().any(|order| order.status == Some(200)), "{}", shown());
    assert_eq!(story(history), story(undisturbed), "{}", shown());
    let left = well_formed::check(history.events()).unwrap_or_else(|error| panic!("{error}\n{}", shown()));
    assert!(left.is_empty(), "the purchase left {left}\n{}", shown());
    cuts::check(of, &Replayer::new().workflow::<OneClickBuy>(), history, cuts::SOME);
    println!("{of}: {status:?}, the shop had {} orders", orders.len());
}

/// Returns the events without those of workflow tasks, which may be repeated.
fn story(history: &History) -> Vec<String> {
    history.event_names().filter(|name| !name.starts_with("WorkflowTask")).collect()
}
