//! Inputs and results that the server cannot read, and a key that is changed while a workflow runs.

use everloop::data::{AesGcmCodec, EncryptionKey};
use everloop::prelude::*;
use everloop_examples::{Error, until_ctrl_c};

#[activity(start_to_close_timeout = "1m")]
async fn diagnose(symptoms: Vec<String>) -> ActivityResult<String> {
    Ok(if symptoms.len() < 3 { "rest".into() } else { "see a doctor".into() })
}

#[workflow]
#[derive(Default)]
pub struct Visit {
    symptoms: State<Vec<String>>,
    complete: State<bool>,
}

#[workflow]
impl Visit {
    #[run]
    async fn run(&self, patient: String) -> WorkflowResult<String> {
        self.complete.wait(|complete| *complete).await?;
        let advice = diagnose(self.symptoms.get()).await?;
        Ok(format!("{patient}: {advice}"))
    }

    #[signal]
    fn report(&self, symptom: String) {
        self.symptoms.push(symptom);
    }

    #[signal]
    fn done(&self) {
        self.complete.set(true);
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    // A real program has its keys from a key store. A clone shares them with the codec of the client.
    let codec = AesGcmCodec::new(EncryptionKey::new("2026-11", [11; 32]));
    let client = Client::builder("memory:?clock=skipping").env().payload_codec(codec.clone()).await?;
    let worker = Worker::builder(&client, "visits").workflow::<Visit>().activity(diagnose).build()?;
    worker.run_until(until_ctrl_c(story(client, codec))).await
}

async fn story(client: Client, codec: AesGcmCodec) -> Result<(), Error> {
    let visit = client.start(Visit::run("Ada".into())).task_queue("visits").await?;
    visit.report("fever".into()).await?;

    // First every process learns the new key, then it encrypts. What the old one encrypted is still read.
    codec.add_key(EncryptionKey::new("2026-12", [12; 32]))?;
    codec.encrypt_with("2026-12")?;
    visit.report("cough".into()).await?;
    visit.done().await?;
    println!("{}", visit.result().await?);

    // The error of a client without the old key names that key.
    codec.remove_key("2026-11")?;
    match visit.history().await {
        Ok(_) => println!("the history is read with every key"),
        Err(error) => println!("{error}"),
    }
    Ok(())
}
