//! One tab: the engine, what its shell remembers, and its screen. It does nothing by itself: whoever drives it decides
//! when an effect is done and when its completion comes back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use surechat::{
    engine::{Config, Effect, Engine, Input, Now, PageEvent, RequestId},
    store::Transaction,
};

use crate::{Time, locks::Claim, screen::Screen};

/// A timer that comes later than this slept with its page: the shell reports a jump.
pub const JUMP_MS: u64 = 5_000;

#[derive(Clone)]
pub struct Tab {
    pub engine: Engine,
    pub profile: usize,
    pub screen: Screen,
    /// Name of the database that was opened.
    pub database: Option<String>,
    /// How often that database had been deleted when this tab opened it.
    pub database_age: u32,
    pub channel: Option<String>,
    pub claim: Option<Claim>,
    pub socket: Option<u32>,
    /// The generation that this tab raised last.
    pub generation: Option<u64>,
    /// Transactions run one after another.
    pub transactions: VecDeque<(RequestId, Transaction)>,
    pub timer: Option<Timer>,
    pub state: State,
    /// What happens to a tab that does not run, in the order in which it will learn of it.
    pub inbox: VecDeque<Input>,
    /// One of them is under way, and whether it reads first.
    pub transacting: Option<(RequestId, bool)>,
    /// Transactions that are answered without being begun, or undone: the page went away before.
    pub let_go: BTreeSet<RequestId>,
    /// What the page is told when it runs again.
    pub wakes_with: Option<PageEvent>,
    /// In the back/forward cache: nothing is posted to it.
    pub cached: bool,
    pub visible: bool,
    pub closed: bool,
    /// It was told to shut down.
    pub closing: bool,
    /// Sends that wait for their answer: the message of each call.
    pub sends: BTreeMap<u32, String>,
    /// Acts that wait for theirs.
    pub acts: BTreeMap<u32, Asked>,
    /// Pages of history that are under way.
    pub pages: BTreeMap<u32, Page>,
    next_op: u32,
}

/// A page that was asked for: below this place of a view, of a conversation of that incarnation.
#[derive(Clone)]
pub struct Page {
    pub conversation: String,
    pub incarnation: String,
    pub below: u64,
}

#[derive(Clone)]
pub struct Asked {
    pub message: String,
    /// What takes its place if it is edited after it was refused.
    pub replacement: Option<String>,
    pub cancels: bool,
}

#[derive(Clone, Copy)]
pub struct Timer {
    pub serial: u64,
    pub due: u64,
    pub armed: Now,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Running,
    /// Frozen, in the back/forward cache, or simply stuck: inputs pile up until the thaw of this number.
    Still(u64),
}

impl Tab {
    pub fn new(profile: usize, config: Config, seed: u64) -> Self {
        Self {
            engine: Engine::new(config, seed),
            profile,
            screen: Screen::default(),
            database: None,
            database_age: 0,
            channel: None,
            claim: None,
            socket: None,
            generation: None,
            transactions: VecDeque::new(),
            timer: None,
            state: State::Running,
            inbox: VecDeque::new(),
            transacting: None,
            let_go: BTreeSet::new(),
            wakes_with: None,
            cached: false,
            visible: true,
            closed: false,
            closing: false,
            sends: BTreeMap::new(),
            acts: BTreeMap::new(),
            pages: BTreeMap::new(),
            next_op: 0,
        }
    }

    /// The page is about to stand still: what reads before it writes is not begun any more, and undone if it still reads.
    pub fn let_transactions_go(&mut self) {
        let waiting = self.transactions.iter().filter(|(_, transaction)| transaction.reads_first());
        let reading = self.transacting.filter(|&(request, reads_first)| reads_first && request % 2 == 0);
        self.let_go.extend(waiting.map(|(request, _)| *request).chain(reading.map(|(request, _)| request)));
    }

    /// Everything that the engine wants done after this input, in order.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        self.engine.handle(now, input);
        std::iter::from_fn(|| self.engine.poll_effect()).collect()
    }

    pub fn op(&mut self) -> u32 {
        self.next_op += 1;
        self.next_op
    }

    /// The user whose outbox this is.
    pub fn user(&self) -> Option<&str> {
        self.database.as_deref().and_then(user_of)
    }

    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }
}

/// The user in a database's name.
pub fn user_of(database: &str) -> Option<&str> {
    database.rsplit(':').next()
}

/// What the shell makes of a timer: one that comes too late has slept.
pub fn timer_input(armed: Now, due: u64, fired: Now) -> Input {
    let delay = due.saturating_sub(armed.mono);
    let late = |from: Time, to: Time| to.saturating_sub(from).saturating_sub(delay) > JUMP_MS;
    if late(armed.mono, fired.mono) || late(armed.wall, fired.wall) {
        Input::Page(PageEvent::Resumed)
    } else {
        Input::Timer
    }
}
