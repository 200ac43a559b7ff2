//! The scripts of the load's workflows: each workflow gets one with its start.

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// The steps of one workflow, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    pub(crate) fails: bool,
    /// A second argument of that many bytes, which is not used.
    pub(crate) padding_bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Step {
    Timer {
        ms: u32,
    },
    /// Activities that run at the same time; each fails that often before it succeeds.
    Work {
        failures: Vec<u32>,
    },
    /// An activity that runs at most `maximum_attempts` times, and fails `failures` times before it succeeds.
    Bounded {
        maximum_attempts: u32,
        failures: u32,
    },
    /// Waits until that many signals have arrived in all.
    Signals {
        total: u32,
    },
}

/// How much data a workflow carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Light,
    /// A few of these make the log of the database long.
    Heavy,
}

const HEAVY_BYTES: usize = 900_000;

impl Script {
    pub(crate) fn random(random: &mut Random, weight: Weight) -> Self {
        let mut signals = 0;
        let steps = (0..random.within(1..5)).map(|_| Step::random(random, &mut signals)).collect();
        let padding_bytes = match weight {
            Weight::Heavy => HEAVY_BYTES,
            Weight::Light if random.percent(5) => 20_000,
            Weight::Light => random.index(300),
        };
        Self { steps, fails: random.percent(10), padding_bytes }
    }

    pub(crate) fn padding(&self) -> String {
        "x".repeat(self.padding_bytes)
    }

    /// Number of signals that the script waits for.
    pub(crate) fn signals(&self) -> u32 {
        let totals = self.steps.iter().map(|step| if let Step::Signals { total } = step { *total } else { 0 });
        totals.max().unwrap_or(0)
    }

    pub(crate) fn timers(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Timer { .. })).count()
    }

    pub(crate) fn activities(&self) -> usize {
        let activities = self.steps.iter().map(|step| match step {
            Step::Work { failures } => failures.len(),
            Step::Bounded { .. } => 1,
            Step::Timer { .. } | Step::Signals { .. } => 0,
        });
        activities.sum()
    }
}

impl Step {
    fn random(random: &mut Random, signals: &mut u32) -> Self {
        match random.within(0..12) {
            0..3 => Self::Timer { ms: random.within(1..120) as u32 },
            3..7 => Self::Work { failures: (0..random.within(1..4)).map(|_| random.within(0..3) as u32).collect() },
            7..10 => {
                let maximum_attempts = random.within(1..4) as u32;
                Self::Bounded { maximum_attempts, failures: random.within(0..u64::from(maximum_attempts) + 1) as u32 }
            }
            _ => {
                *signals += random.within(1..3) as u32;
                Self::Signals { total: *signals }
            }
        }
    }
}
