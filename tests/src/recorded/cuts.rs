//! The property: pages, increments and evictions never change the commands.

use std::env;

use everloop::client::History;
use everloop::testing::{PlayedTask, Replayer};

use super::asked;
use crate::random::Random;

/// Number of sets of cuts and evictions for a recorded history.
pub(crate) const MANY: u64 = 200;

/// The same for a history that was just created, which differs in each run of the tests.
pub(crate) const SOME: u64 = 20;

/// The variable that selects a single seed.
const SEED: &str = "EVERLOOP_TEST_SEED";

/// Delivers a history cut in two at every position, and in that many random sets of cuts and evictions. Fails if a command differs
/// between deliveries or from the history.
pub(crate) fn check(of: &str, replayer: &Replayer, history: &History, sets: u64) {
    let length = history.len();
    let undisturbed = replayer.live(history, &[], &[]).unwrap_or_else(|failure| panic!("{of}: {failure}"));
    assert!(!undisturbed.is_empty(), "{of}: there is no task in it:\n{}", history.timeline());
    asked::check(of, history, &undisturbed);
    replayer.replay_bytes(&history.to_bytes()).unwrap_or_else(|failure| panic!("{of}, encoded: {failure}"));

    // A single task lost from the cache would cause a delivery of the whole history in pages; here every task does.
    let every_task: Vec<usize> = (0..undisturbed.len()).collect();
    let mut deliveries = 0;
    let mut deliver = |how: String, cuts: &[usize], evictions: &[usize]| {
        deliver(&format!("{of}, {how}"), replayer, history, &undisturbed, cuts, evictions);
        deliveries += 1;
    };
    if seed().is_none() {
        for cut in 0..=length {
            deliver(format!("cut after {cut} events"), &[cut], &every_task);
            deliver(format!("increments cut after {cut} events"), &[cut], &[]);
        }
    }
    for seed in seed().map_or(1..=sets, |seed| seed..=seed) {
        let mut random = Random::new(seed);
        let cuts = some_of(&mut random, length + 1);
        let evictions = some_of(&mut random, undisturbed.len());
        deliver(format!("{SEED}={seed}"), &cuts, &evictions);
    }
    println!("{of}: {length} events, {} tasks, the same in {deliveries} deliveries", undisturbed.len());
}

fn deliver(
    of: &str,
    replayer: &Replayer,
    history: &History,
    expected: &[PlayedTask],
    cuts: &[usize],
    evictions: &[usize],
) {
    let fail = |what: &str| -> ! {
        panic!("{of}: {what}\npages end after {cuts:?} events, tasks {evictions:?} find an empty cache")
    };
    // Like the replay of a closed run, for example for a query.
    if let Err(failure) = replayer.replay_in_pages(history, cuts) {
        fail(&failure.to_string());
    }
    let tasks = replayer.live(history, cuts, evictions).unwrap_or_else(|failure| fail(&failure.to_string()));
    for (task, expected) in tasks.iter().zip(expected) {
        if task != expected {
            fail(&format!("the task of event {}:\n{task:#?}\nand undisturbed:\n{expected:#?}", task.started_event_id));
        }
    }
    if tasks.len() != expected.len() {
        fail(&format!("{} tasks in place of {}", tasks.len(), expected.len()));
    }
}

fn seed() -> Option<u64> {
    let seed = env::var(SEED).ok()?;
    Some(seed.parse().unwrap_or_else(|error| panic!("{SEED}={seed}: {error}")))
}

/// Returns a random number of positions below a limit, unordered; a repeated position makes a page without events.
fn some_of(random: &mut Random, limit: usize) -> Vec<usize> {
    let at_most = 1 + random.below(limit);
    let count = random.below(at_most + 1);
    (0..count).map(|_| random.below(limit)).collect()
}
