//! A cancelled trip: the wait ends with an error, `?` would end the workflow, and the clean-up comes before that.

use everloop::client::ResultError;
use everloop::prelude::*;
use everloop_examples::{Error, until_ctrl_c};

#[activity(start_to_close_timeout = "10s")]
async fn book_hotel(city: String) -> ActivityResult<u32> {
    println!("activity: booked a hotel in {city}");
    Ok(4711)
}

#[activity(start_to_close_timeout = "10s")]
async fn give_back_hotel(booking: u32) -> ActivityResult<()> {
    println!("activity: gave back booking {booking}");
    Ok(())
}

#[workflow]
#[derive(Default)]
pub struct Trip {
    booking: State<Option<u32>>,
}

#[workflow]
impl Trip {
    #[run]
    async fn run(&self, city: String) -> WorkflowResult<()> {
        let booking = book_hotel(city).await?;
        self.booking.set(Some(booking));

        // A month until departure. Cancelling the workflow resolves its pending operations: here, this timer.
        if let Err(cancelled) = sleep(Duration::from_secs(30 * 24 * 3600)).await {
            // The cancellation is delivered once. Operations that begin now run as usual.
            give_back_hotel(booking).await?;
            // Returning the error makes the workflow cancelled rather than failed or completed.
            return Err(cancelled.into());
        }
        Ok(())
    }

    /// An update changes state and returns a result. This one only waits until there is a result.
    #[update]
    async fn booked(&self) -> WorkflowResult<u32> {
        self.booking.wait(|booking| booking.is_some()).await?;
        Ok(self.booking.get().unwrap_or_default())
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::from_env_or("memory:?clock=skipping").await?;
    let worker =
        Worker::builder(&client, "trips").workflow::<Trip>().activity(book_hotel).activity(give_back_hotel).build()?;
    worker.run_until(until_ctrl_c(story(client))).await
}

async fn story(client: Client) -> Result<(), Error> {
    let trip = client.start(Trip::run("Lisbon".into())).task_queue("trips").await?;
    println!("the trip has booking {}", trip.booked().await?);

    trip.cancel().await?;
    match trip.result().await {
        Err(ResultError::Cancelled { .. }) => println!("the trip was cancelled"),
        other => println!("the trip was not cancelled: {other:?}"),
    }
    Ok(())
}
