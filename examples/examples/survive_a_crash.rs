//! A purchase whose program is killed in its ten seconds. When the program is started again, the purchase continues.
//!
//! ```text
//! cargo run --example survive_a_crash
//! ```
//!
//! The program starts itself as a child, kills it as `kill -9` does, and starts it again. All state of a child is in one SQLite
//! file.

use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Instant, SystemTime};

use everloop::prelude::*;

/// The environment variable that names the child's file.
const FILE: &str = "EVERLOOP_EXAMPLE_FILE";
const QUEUE: &str = "purchases";
const WAITS: &str = "waits";

#[activity(start_to_close_timeout = "1m")]
async fn charge(item: String) -> ActivityResult<String> {
    println!("charges for the {item}");
    Ok(format!("receipt for a {item}"))
}

#[workflow]
#[derive(Default)]
struct Buy;

#[workflow]
impl Buy {
    #[run]
    async fn run(&self, item: String) -> WorkflowResult<String> {
        // Ten seconds to change your mind, even if the program is killed.
        sleep(Duration::from_secs(10)).await?;
        Ok(charge(item).await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match env::var_os(FILE) {
        Some(file) => shop(Path::new(&file)).await,
        None => kill_and_restart(),
    }
}

/// The program as users would write it: it opens its file, and its workers continue the runs in it.
async fn shop(file: &Path) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(&format!("sqlite:{}", file.display())).await?;
    let worker = Worker::builder(&client, QUEUE).workflow::<Buy>().activity(charge).build()?;
    let story = async {
        // The first child starts the purchase, the second one finds it.
        let open = client.list_workflows("ExecutionStatus = 'Running'").all().await?.len();
        println!("opened the file: purchases under way: {open}");
        if open == 0 {
            client.start(Buy::run("red lamp".into())).id("buy-1").task_queue(QUEUE).await?;
        }
        let buy = client.workflow_handle::<Buy>("buy-1");
        while !buy.history().await?.event_names().any(|event| event == "TimerStarted") {
            tokio::task::yield_now().await;
        }
        println!("{WAITS} for the ten seconds of buy-1 to pass");
        let receipt = buy.result().await?;
        println!("has a {receipt}; this is the history");
        println!("{}", buy.history().await?.timeline());
        Ok(())
    };
    worker.run_until(story).await
}

/// Starts the shop, kills it three seconds into the ten, and starts it again.
fn kill_and_restart() -> Result<(), Box<dyn Error>> {
    let file = file()?;
    println!("everything is in {}\n", file.display());
    let began = Instant::now();

    let (mut first, mut says) = start(&file)?;
    while !tell("first ", &mut says)?.contains(WAITS) {}
    std::thread::sleep(Duration::from_secs(3).saturating_sub(began.elapsed()));
    first.kill()?;
    first.wait()?;
    println!("first  is killed after {:.1} s, and nobody runs for two seconds\n", began.elapsed().as_secs_f64());
    std::thread::sleep(Duration::from_secs(2));

    let (mut second, mut says) = start(&file)?;
    while !tell("second", &mut says)?.is_empty() {}
    let ended = second.wait()?;
    println!(
        "\nthe purchase took {:.1} s, one crash included; the second program {ended}",
        began.elapsed().as_secs_f64()
    );
    file.parent().map_or(Ok(()), std::fs::remove_dir_all)?;
    Ok(())
}

/// Creates the path of a temporary file.
fn file() -> Result<PathBuf, Box<dyn Error>> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
    let folder = env::temp_dir().join(format!("everloop-survive-a-crash-{now}"));
    std::fs::create_dir(&folder)?;
    Ok(folder.join("shop.db"))
}

fn start(file: &Path) -> Result<(Child, BufReader<ChildStdout>), Box<dyn Error>> {
    let mut child = Command::new(env::current_exe()?).env(FILE, file).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("it has no output")?;
    Ok((child, BufReader::new(output)))
}

/// Prints the next line of a child; empty at its end.
fn tell(who: &str, says: &mut impl BufRead) -> Result<String, Box<dyn Error>> {
    let mut line = String::new();
    says.read_line(&mut line)?;
    if !line.is_empty() {
        print!("{who} {line}");
    }
    Ok(line)
}
