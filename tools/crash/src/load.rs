//! Clients that start, signal, update, query, cancel and terminate workflows, following a plan.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::calls::{Service, perform};
use crate::entry::{Answer, Entry, Journal, Kind, Operation};
use crate::random::Random;
use crate::script::{Script, Weight};

/// Clients at work at the same time.
const CLIENTS: usize = 4;

/// Number of lost responses in a row after which a client assumes that the engine is dead.
const LOST_MAX: u32 = 3;

/// Maximum number of open workflows of one client.
const OPEN_MAX: usize = 6;

/// The plan of the clients for one life of the engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The prefix of the ids of this life.
    pub(crate) prefix: String,
    pub(crate) seed: u64,
    /// Number of operations that each client makes up, besides those given here.
    pub(crate) operations: usize,
    pub(crate) is_heavy: bool,
    /// Workflows of earlier lives that may be open.
    pub(crate) open: Vec<String>,
    /// Operations sent before, with or without a response. When sent again, they must count once.
    pub(crate) again: Vec<Operation>,
    /// Number of further signals for each workflow, so that it can end.
    pub(crate) wanted_signals: Vec<(String, u32)>,
}

/// Follows the plan; returns early when the engine is dead.
pub(crate) async fn run(service: Service, journal: Arc<dyn Journal>, plan: Plan) {
    let clients = (0..CLIENTS).map(|number| {
        let client = Client::new(number, &plan, service.clone(), Arc::clone(&journal));
        tokio::spawn(client.run(plan.operations))
    });
    for client in join_all(clients).await {
        if let Err(error) = client
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

struct Client {
    service: Service,
    journal: Arc<dyn Journal>,
    prefix: String,
    random: Random,
    weight: Weight,
    /// Workflows that only this client uses in this life.
    open: Vec<Target>,
    again: Vec<Operation>,
    wanted_signals: Vec<(String, u32)>,
    next_number: u32,
    lost: u32,
}

/// A workflow that may be open.
struct Target {
    workflow_id: String,
    /// Number of signals acknowledged to this client.
    signals: u32,
}

/// Returns every `CLIENTS`th item, so that clients share none.
fn share<T: Clone>(all: &[T], number: usize) -> Vec<T> {
    all.iter().skip(number).step_by(CLIENTS).cloned().collect()
}

impl Client {
    fn new(number: usize, plan: &Plan, service: Service, journal: Arc<dyn Journal>) -> Self {
        let open = share(&plan.open, number).into_iter().map(|workflow_id| Target { workflow_id, signals: 0 });
        Self {
            service,
            journal,
            prefix: format!("{}-c{number}", plan.prefix),
            random: Random::part(plan.seed, number as u64),
            weight: if plan.is_heavy { Weight::Heavy } else { Weight::Light },
            open: open.collect(),
            again: share(&plan.again, number),
            wanted_signals: share(&plan.wanted_signals, number),
            next_number: 0,
            lost: 0,
        }
    }

    async fn run(mut self, operations: usize) {
        for (workflow_id, count) in std::mem::take(&mut self.wanted_signals) {
            for _ in 0..count {
                let operation = self.make(&workflow_id, Kind::Signal);
                self.send(operation).await;
            }
        }
        let mut made_up = 0;
        while self.lost < LOST_MAX && (made_up < operations || !self.again.is_empty()) {
            let operation = if !self.again.is_empty() && (made_up == operations || self.random.percent(50)) {
                self.again.remove(0)
            } else {
                made_up += 1;
                self.make_up()
            };
            self.send(operation).await;
        }
    }

    /// Sends the next random operation.
    fn make_up(&mut self) -> Operation {
        let starts = if self.weight == Weight::Heavy { 90 } else { 30 };
        if self.open.is_empty() || (self.open.len() < OPEN_MAX && self.random.percent(starts)) {
            let (script, with_signal) = (Script::random(&mut self.random, self.weight), self.random.percent(25));
            let id = self.id();
            return Operation { workflow_id: id.clone(), id, kind: Kind::Start { script, with_signal } };
        }
        let index = self.random.index(self.open.len());
        let kind = match self.random.within(0..100) {
            0..45 => Kind::Signal,
            45..75 => Kind::Update { must_be_rejected: self.random.percent(20) },
            75..90 => Kind::Query { at_least: self.open[index].signals },
            90..96 => Kind::Cancel,
            _ => Kind::Terminate,
        };
        let workflow_id = self.open[index].workflow_id.clone();
        self.make(&workflow_id, kind)
    }

    fn make(&mut self, workflow_id: &str, kind: Kind) -> Operation {
        Operation { id: self.id(), workflow_id: workflow_id.to_owned(), kind }
    }

    fn id(&mut self) -> String {
        self.next_number += 1;
        format!("{}-{}", self.prefix, self.next_number)
    }

    async fn send(&mut self, operation: Operation) {
        self.journal.note(Entry::Sent(operation.clone()));
        let Ok(answer) = perform(&mut self.service, &operation).await else {
            self.lost += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
            return;
        };
        self.lost = 0;
        self.remember(&operation, &answer);
        let Operation { id, workflow_id, .. } = operation;
        self.journal.note(Entry::Answered { workflow_id, id, answer });
    }

    fn remember(&mut self, operation: &Operation, answer: &Answer) {
        let workflow_id = &operation.workflow_id;
        match (&operation.kind, answer) {
            (Kind::Start { with_signal, .. }, Answer::Done(_))
                if !self.open.iter().any(|target| target.workflow_id == *workflow_id) =>
            {
                self.open.push(Target { workflow_id: workflow_id.clone(), signals: u32::from(*with_signal) });
            }
            // If sent again, the signal may be among those counted.
            (Kind::Signal, Answer::Done(_)) if operation.id.starts_with(&self.prefix) => {
                if let Some(target) = self.open.iter_mut().find(|target| target.workflow_id == *workflow_id) {
                    target.signals += 1;
                }
            }
            (Kind::Terminate, _) | (Kind::Signal, Answer::Refused(_)) => {
                self.open.retain(|target| target.workflow_id != *workflow_id);
            }
            _ => {}
        }
    }
}
