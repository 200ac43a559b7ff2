//! The property: pages, increments and evictions change no command.

use std::env;

use everloop::client::History;
use everloop::testing::{PlayedTask, Replayer};

use super::asked;

/// How many sets of cuts and evictions a history is delivered under that is kept.
pub(crate) const MANY: u64 = 200;

/// How many it is for one that just happened, of which each run of the tests has another.
pub(crate) const SOME: u64 = 20;

/// The variable that names one seed, to the exclusion of all others.
const SEED: &str = "EVERLOOP_TEST_SEED";

/// Delivers a history cut in two anywhere, and under so many random sets of cuts and evictions. Fails where a command differs
/// from those of another way or from history's.
pub(crate) fn check(of: &str, replayer: &Replayer, history: &History, sets: u64) {
    let length = history.len();
    let undisturbed = replayer.live(history, &[], &[]).unwrap_or_else(|failure| panic!("{of}: {failure}"));
    assert!(!undisturbed.is_empty(), "{of}: there is no task in it:\n{}", history.timeline());
    asked::check(of, history, &undisturbed);
    replayer.replay_bytes(&history.to_bytes()).unwrap_or_else(|failure| panic!("{of}, encoded: {failure}"));

    // One task lost from the cache is enough to have the whole history in pages; here it is each of them.
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
        let mut numbers = Numbers(seed);
        let cuts = numbers.some_of(length + 1);
        let evictions = numbers.some_of(undisturbed.len());
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
    // As a closed run is replayed, for a query say.
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

/// Random numbers of a seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("a limit fits");
        usize::try_from(self.next() % limit).expect("it is below a limit that fits")
    }

    /// Few or many numbers below a limit, in no order; one that comes twice makes a page without events.
    fn some_of(&mut self, limit: usize) -> Vec<usize> {
        let at_most = 1 + self.below(limit);
        let count = self.below(at_most + 1);
        (0..count).map(|_| self.below(limit)).collect()
    }
}
