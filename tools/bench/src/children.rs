//! How long does a child workflow take from its start to its result, and how many end in a second when many are started?

use std::time::Instant;

use clap::Args;
use everloop::prelude::*;
use serde::Serialize;

use crate::load::QUEUE;
use crate::local::Beginnings;
use crate::report::{Versions, percentile_ms, print, rounded};
use crate::{Error, some};

/// Children of one parent: more would make its history long.
const EACH: usize = 500;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The engine's address: `memory:`, `sqlite:FILE`, or `http://HOST:PORT` of a server.
    #[arg(long, default_value = "memory:")]
    address: String,
    /// Children to measure: one after the other, and all at once.
    #[arg(long, default_value_t = 10_000, value_parser = some())]
    count: usize,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    bench: &'a str,
    target: &'a str,
    count: usize,
    /// From the start of a child to its result, in its parent.
    child_p50_us: f64,
    child_p99_us: f64,
    /// Children that are started at once, 500 by each parent.
    children_per_second: f64,
    versions: Versions,
}

#[workflow]
#[derive(Default)]
struct Returns {}

#[workflow]
impl Returns {
    #[run]
    async fn run(&self) -> WorkflowResult<()> {
        Ok(())
    }
}

#[workflow]
#[derive(Default)]
struct Calls {}

#[workflow]
impl Calls {
    #[run]
    async fn run(&self, count: usize, at_once: bool) -> WorkflowResult<()> {
        if at_once {
            let children = (0..count).map(|_| Returns::run().into_future());
            for child in join_all(children).await {
                child?;
            }
            return Ok(());
        }
        for _ in 0..count {
            Returns::run().await?;
            // Notes the end of the child: from one to the next is a whole child.
            Beginnings::begin().local().await?;
        }
        Ok(())
    }
}

pub(crate) async fn measure(options: Options) -> Result<(), Error> {
    let Options { address, count } = &options;
    let client = Client::connect(address).await?;
    let versions = Versions::with_server(address).await?;
    let ends = Beginnings::default();
    let worker =
        Worker::builder(&client, QUEUE).workflow::<Calls>().workflow::<Returns>().activities(ends.clone()).build()?;
    let measured = async {
        let one_by_one = async |count: usize| {
            let mut times = Vec::new();
            while times.len() < count {
                let each = EACH.min(count - times.len()) + 1;
                client.execute(Calls::run(each, false)).task_queue(QUEUE).await?;
                times.extend(ends.take());
            }
            times.sort_unstable();
            Ok::<_, Error>(times)
        };
        // The first ones run with cold caches.
        drop(one_by_one(count.div_ceil(10)).await?);
        let times = one_by_one(*count).await?;
        let begun = Instant::now();
        let mut parents = Vec::new();
        let mut left = *count;
        while left > 0 {
            let each = EACH.min(left);
            parents.push(client.start(Calls::run(each, true)).task_queue(QUEUE).await?);
            left -= each;
        }
        for parent in parents {
            parent.result().await?;
        }
        Ok::<_, Error>((times, begun.elapsed()))
    };
    let (times, all) = worker.run_until(measured).await?;
    let us = |share| rounded(percentile_ms(&times, share) * 1e3);
    print(&Line {
        bench: "children",
        target: address,
        count: *count,
        child_p50_us: us(0.5),
        child_p99_us: us(0.99),
        children_per_second: rounded(*count as f64 / all.as_secs_f64()),
        versions,
    })
}
