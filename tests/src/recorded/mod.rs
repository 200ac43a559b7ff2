//! Histories that a real server recorded, replayed however they are cut.
//!
//! [`scenarios`] are workflows that use every operation of the executor, each with a driver that sends the events they wait for. A
//! recording runs one with our worker, with and without a cache, and saves the history in `golden/recorded/`, with its timeline for
//! readers. From then on each test delivers it to the executor again: in two pages cut anywhere, in pages cut at random, with tasks
//! that have only new events or all of them, and compares the commands of every task between deliveries and with the history.
//!
//! So the workflows must keep matching their recordings. A changed rule has a number, so that these histories replay for ever; a
//! new scenario is a new file. Recording again would hide the changes that the tests should find.
//!
//! To record scenarios that have no file yet:
//!
//! ```text
//! UPDATE_EXPECT=1 tests/reference/run as_it_happens_now
//! ```
//!
//! A failed test reports its seed. To replay that seed alone:
//!
//! ```text
//! EVERLOOP_TEST_SEED=17 cargo test -p everloop-tests recorded::scenarios::storm
//! ```

mod asked;
pub(crate) mod cuts;
mod golden;
mod points;
mod scenarios;
mod stage;
