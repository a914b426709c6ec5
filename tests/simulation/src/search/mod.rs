//! Every order in which a small world can go, by search over cloned engines: no seed and no luck.
//!
//! Two tabs of one user and a few messages. At every point each thing that could happen next is tried: a transaction runs
//! or its end is heard, a request arrives, is given up while it is still on its way, or is answered, the lock changes
//! hands, a tab dies. States that were seen before are not gone through again. Clocks move only where nothing else can
//! happen: a deadline that comes too early is the request that is given up.
//!
//! Requests other than `chat_send` are answered at once, or fail at once where [`Scope::evidence`] is false: a row that
//! comes back by a sync is evidence that would hide a lost answer.

mod state;

use std::collections::BTreeSet;

use crate::Broken;

pub use state::{Action, State};

/// How much may go wrong, and what people do.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    pub name: &'static str,
    /// The tab that writes each message, in this order of each tab's own.
    pub writers: &'static [usize],
    pub crashes: u8,
    /// Requests that are given up while they are on their way; they arrive later, or never.
    pub lost: u8,
    /// Requests that the browser sends twice by itself.
    pub repeats: u8,
    /// The first message is taken back, by a tab of its own choice.
    pub cancels: u8,
    pub evidence: bool,
    /// What one tab tells another is heard some time later, in its order; or else at once.
    pub tabs_hear_late: bool,
}

pub struct Found {
    pub broken: Broken,
    /// What happened until then.
    pub path: Vec<Action>,
}

#[derive(Default)]
pub struct Report {
    pub states: usize,
    /// Ends: everything is settled.
    pub ends: usize,
    pub deepest: usize,
    pub violations: Vec<Found>,
    /// The search stopped at its bound.
    pub cut_short: bool,
}

const MOST_VIOLATIONS: usize = 5;

pub fn search(scope: Scope, most_states: usize) -> Report {
    let mut report = Report::default();
    let mut seen = BTreeSet::new();
    let first = State::new(scope);
    seen.insert(first.fingerprint());
    // How each state came about: the action, and the place of the state before it.
    let mut steps: Vec<(usize, Action)> = Vec::new();
    let mut stack = vec![(first, None, 0)];
    while let Some((state, came, depth)) = stack.pop() {
        report.states += 1;
        report.deepest = report.deepest.max(depth);
        if report.violations.len() >= MOST_VIOLATIONS || report.states >= most_states {
            report.cut_short = !stack.is_empty();
            return report;
        }
        report.ends += usize::from(state.is_settled());
        for action in state.actions() {
            let mut next = state.clone();
            let result = next.step(action);
            let is_new = result.is_ok() && seen.insert(next.fingerprint());
            if !is_new && result.is_ok() {
                continue;
            }
            steps.push((came.unwrap_or(usize::MAX), action));
            match result {
                Err(broken) => report.violations.push(Found { broken, path: path(&steps) }),
                Ok(()) => stack.push((next, Some(steps.len() - 1), depth + 1)),
            }
        }
    }
    report
}

/// What led to the last step.
fn path(steps: &[(usize, Action)]) -> Vec<Action> {
    let mut path = Vec::new();
    let mut place = steps.len() - 1;
    while let Some((before, action)) = steps.get(place) {
        path.push(*action);
        place = *before;
    }
    path.reverse();
    path
}
