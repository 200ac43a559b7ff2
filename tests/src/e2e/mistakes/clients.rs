//! Mistakes of clients.

use std::net::{Ipv4Addr, TcpListener};

use everloop_server::{ClockMode, Engine};

use super::*;

everywhere! {
    an_id_that_is_taken,
    a_workflow_that_is_not_there,
    starts_and_filters_that_cannot_be,
    a_namespace_that_is_not_there,
    a_port_in_use,
}

async fn an_id_that_is_taken(world: World) {
    run(worker(&world), async {
        let first = world.client.start(Doubles::run(1)).id(world.id("doubles")).await.unwrap();
        let error = world.client.start(Doubles::run(2)).id(world.id("doubles")).await.unwrap_err();
        says(
            &error.to_string(),
            &[
                &format!(
                    "the workflow id `{}` is taken by run {}: Workflow execution is already running; choose another id",
                    first.id(),
                    first.run_id().unwrap()
                ),
                "choose another id, or set `.id_conflict_policy(..)` or `.id_reuse_policy(..)`",
            ],
        );
        first.finish().await.unwrap();
        assert_eq!(first.result().await.unwrap(), 2);
        completes_another(&world).await;
    })
    .await;
}

async fn a_workflow_that_is_not_there(world: World) {
    run(worker(&world), async {
        let handle = world.client.workflow_handle::<Doubles>(world.id("missing"));
        for error in [
            handle.result().await.unwrap_err().to_string(),
            handle.finish().await.unwrap_err().to_string(),
            handle.is_done().await.unwrap_err().to_string(),
            handle.add(1).await.unwrap_err().to_string(),
            handle.cancel().await.unwrap_err().to_string(),
            handle.terminate("").await.unwrap_err().to_string(),
            handle.describe().await.unwrap_err().to_string(),
            handle.history().await.unwrap_err().to_string(),
        ] {
            says(&error, &[&format!("there is no workflow `{}`: check the id", world.id("missing"))]);
        }
        // A closed workflow rejects all messages.
        let handle = doubles(&world).await;
        handle.finish().await.unwrap();
        handle.result().await.unwrap();
        assert!(matches!(handle.finish().await, Err(SignalError::NotFound { .. })));
        assert!(matches!(handle.add(1).await, Err(UpdateError::NotFound { .. })));
        assert!(matches!(handle.terminate("").await, Err(HandleError::NotFound { .. })));
        completes_another(&world).await;
    })
    .await;
}

async fn starts_and_filters_that_cannot_be(world: World) {
    run(worker(&world), async {
        let error = world.client.start(Doubles::run(1)).id("").await.unwrap_err();
        says(&error.to_string(), &["a workflow id must not be empty", "leave it away for a fresh id"]);
        let error = world.client.untyped_handle("").describe().await.unwrap_err();
        says(&error.to_string(), &["the workflow id is empty: give the id"]);
        let filter = "WorkflowType ~ 5";
        let error = world.client.list_workflows(filter).all().await.unwrap_err();
        assert!(matches!(error, ListError::Filter { .. }));
        says(&error.to_string(), &["the filter `WorkflowType ~ 5` is not valid"]);
        completes_another(&world).await;
    })
    .await;
}

async fn a_namespace_that_is_not_there(world: World) {
    // An engine in this process creates namespaces on demand.
    if !world.target.is_in_process() {
        let client = Client::builder(world.target.address().await).namespace("nowhere").await.unwrap();
        let elsewhere = Worker::builder(&client, world.queue()).activity(double).build().unwrap();
        let error = elsewhere.run().await.unwrap_err().to_string();
        says(&error, &["the server refuses this worker", "Namespace nowhere is not found", "check namespace"]);
        let error = client.start(Doubles::run(1)).task_queue(world.queue()).await.unwrap_err().to_string();
        says(&error, &["Namespace nowhere is not found"]);
    }
    run(worker(&world), completes_another(&world)).await;
}

async fn a_port_in_use(world: World) {
    run(worker(&world), async {
        // The port of the target itself, if it listens.
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = match world.target.is_in_process() {
            true => taken.local_addr().unwrap(),
            false => world.target.address().await.parse().unwrap(),
        };
        let engine = Engine::memory(ClockMode::Real).unwrap();
        let error = engine.listen(address).await.unwrap_err().to_string();
        says(&error, &[&format!("{address} is in use by another program")]);
        completes_another(&world).await;
    })
    .await;
}

#[tokio::test]
async fn an_address_where_nobody_is() {
    // A port of our own that is closed again.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let error = Client::connect(address.to_string()).await.err().unwrap().to_string();
    says(&error, &[&format!("no server answers at http://{address}"), "is it running, and is the address right?"]);
}
