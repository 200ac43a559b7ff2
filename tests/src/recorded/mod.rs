//! Histories that a real server recorded, replayed however they are cut.
//!
//! [`scenarios`] are workflows that use everything the executor has, each with a driver that sends what they wait for. A
//! recording runs one with our worker, with a cache and without, and keeps the history in `golden/recorded/`, with its
//! timeline beside it for people. From then on each test delivers it to the executor again: in two pages cut anywhere, in
//! pages cut at random, with tasks that come with what is new or with everything, and compares the commands of every task
//! with one another and with history.
//!
//! The workflows are thus bound to what was recorded. A rule that changes has a number, so that these histories replay for
//! ever; a new scenario is a new file. Recording again would hide what the tests are there to show.
//!
//! To record what has no file yet:
//!
//! ```text
//! UPDATE_EXPECT=1 tests/reference/run as_it_happens_now
//! ```
//!
//! A test that fails says with which seed. To replay that one alone:
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
