//! The small world: plain data that is cloned at every choice.

use std::{
    collections::{VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use surechat::{
    engine::{Command, Config, Effect, Engine, Input, Now, RequestId, Update},
    json::{empty_object, text},
    message::{DeliveryStatus, MessageId},
    rest::{HttpError, HttpRequest, HttpResponse},
    store::Transaction,
    tabs::TabMessage,
};

use super::Scope;
use crate::{
    Broken, broken,
    disk::Database,
    locks::{Claim, LockNews, Locks},
    server::{Rules, Server, function},
};

const USER: &str = "operator-1";
const CONVERSATION: &str = "b1";
const LOCK: &str = "lead";
const CANCEL: u32 = 100;
const BEGIN: u64 = 1_000;
/// Within this time a world in which nothing goes wrong any more must have settled everything.
const PATIENCE_MS: u64 = 400_000;

#[derive(Clone)]
pub struct State {
    scope: Scope,
    mono: u64,
    database: Database,
    locks: Locks,
    server: Server,
    jwt: String,
    tabs: Vec<Tab>,
    /// Requests on their way; without a tab when nobody waits for the answer.
    wire: Vec<Wire>,
    /// Messages that were accepted, by their number in the scope.
    accepted: Vec<usize>,
    /// The act that takes the first message back was answered.
    taken_back: bool,
    /// Somebody has asked for that.
    cancelled: bool,
    /// When the last thing happened that no clock brought about.
    last_event: u64,
}

#[derive(Clone)]
struct Tab {
    engine: Engine,
    alive: bool,
    transactions: VecDeque<(RequestId, Transaction)>,
    /// What has happened and was not heard of yet, kind by kind in its order.
    committed: Option<Input>,
    answers: VecDeque<Input>,
    news: VecDeque<Input>,
    /// What other tabs told.
    told: VecDeque<TabMessage>,
    claim: Option<Claim>,
    written: usize,
}

#[derive(Clone)]
struct Wire {
    waiting: Option<(usize, RequestId)>,
    http: HttpRequest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A person writes the next message in this tab.
    Write(usize),
    /// A person takes the first message back in this tab.
    Cancel(usize),
    /// The tab's next transaction runs.
    Commit(usize),
    /// The tab hears of it.
    Committed(usize),
    /// The nth request arrives.
    Arrive(usize),
    /// The nth request arrives, and again later.
    Repeat(usize),
    /// The tab gives the nth request up, which goes on its way.
    GiveUp(usize),
    /// The nth request, which nobody waits for, never arrives.
    Vanish(usize),
    Answer(usize),
    Lock(usize),
    /// The tab hears another one.
    Hear(usize),
    Crash(usize),
    /// Nothing else can happen: the next deadline comes.
    Tick,
}

impl State {
    /// Two tabs have started, and the first one leads.
    pub fn new(scope: Scope) -> Self {
        let mut server = Server::default();
        server.ensure(CONVERSATION, &[(USER, "operator"), ("client-1", "client")]);
        let jwt = server.auth.issue(USER, BEGIN, 1_000_000_000);
        let mut state = Self {
            scope,
            mono: BEGIN,
            database: Database::default(),
            locks: Locks::default(),
            server,
            jwt,
            tabs: Vec::new(),
            wire: Vec::new(),
            accepted: Vec::new(),
            taken_back: false,
            cancelled: false,
            last_event: BEGIN,
        };
        for tab in 0..2 {
            state.tabs.push(Tab::new(tab));
            let start = Command::Start { remembered_user: None, visible: true, online: true };
            let mut quiet = state.feed(tab, Input::Command(start));
            while let (Ok(()), Some(action)) = (&quiet, state.own_actions(tab).first().copied()) {
                quiet = state.step(action);
            }
        }
        state
    }

    pub fn is_settled(&self) -> bool {
        let own = |tab: usize| self.scope.writers.iter().filter(|writer| **writer == tab).count();
        let all_written = self.tabs.iter().enumerate().all(|(tab, it)| !it.alive || it.written == own(tab));
        let busy = |tab: &Tab| tab.alive && (!tab.transactions.is_empty() || tab.committed.is_some());
        all_written && self.database.outbox().count() == 0 && !self.tabs.iter().any(busy)
    }

    pub fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let alive = || (0..self.tabs.len()).filter(|tab| self.tabs[*tab].alive);
        let settled = self.is_settled();
        for tab in alive().filter(|_| !settled) {
            let own = self.scope.writers.iter().filter(|writer| **writer == tab).count();
            if self.tabs[tab].written < own {
                actions.push(Action::Write(tab));
            }
            actions.extend(self.own_actions(tab));
        }
        if self.scope.cancels > 0 && self.accepted.contains(&0) {
            actions.extend(alive().map(Action::Cancel));
        }
        for (place, wire) in self.wire.iter().enumerate() {
            actions.push(Action::Arrive(place));
            if self.scope.repeats > 0 && wire.waiting.is_some() {
                actions.push(Action::Repeat(place));
            }
            if self.scope.lost > 0 && wire.waiting.is_some() {
                actions.push(Action::GiveUp(place));
            }
            if wire.waiting.is_none() {
                actions.push(Action::Vanish(place));
            }
        }
        // What only could happen does not hold up the clock; what is on its way to a tab does.
        let held_up = actions.iter().any(|action| match action {
            Action::Arrive(place) => self.wire[*place].waiting.is_some(),
            Action::Cancel(_) | Action::Vanish(_) | Action::Repeat(_) | Action::GiveUp(_) => false,
            _ => true,
        });
        if !held_up && alive().next().is_some() && !settled {
            actions.push(Action::Tick);
        }
        if self.scope.crashes > 0 && !settled {
            actions.extend(alive().map(Action::Crash));
        }
        actions
    }

    fn own_actions(&self, tab: usize) -> Vec<Action> {
        let it = &self.tabs[tab];
        let mut actions = Vec::new();
        if it.committed.is_some() {
            actions.push(Action::Committed(tab));
        } else if !it.transactions.is_empty() {
            actions.push(Action::Commit(tab));
        }
        if !it.answers.is_empty() {
            actions.push(Action::Answer(tab));
        }
        if !it.news.is_empty() {
            actions.push(Action::Lock(tab));
        }
        if !it.told.is_empty() {
            actions.push(Action::Hear(tab));
        }
        actions
    }

    pub fn step(&mut self, action: Action) -> Result<(), Broken> {
        let is_event = !matches!(
            action,
            Action::Tick | Action::Commit(_) | Action::Committed(_) | Action::Answer(_) | Action::Hear(_)
        );
        if is_event {
            self.last_event = self.mono;
        }
        match action {
            Action::Write(tab) => {
                let number = self.number_of(tab, self.tabs[tab].written);
                self.tabs[tab].written += 1;
                let command = Command::Send {
                    op: number as u32,
                    id: id_of(number),
                    conversation_id: CONVERSATION.into(),
                    content: format!("m{number}"),
                    message_type: "text".into(),
                    metadata: empty_object(),
                };
                self.feed(tab, Input::Command(command))?;
            }
            Action::Cancel(tab) => {
                self.scope.cancels -= 1;
                self.cancelled = true;
                let conversation_id = CONVERSATION.to_owned();
                self.feed(tab, Input::Command(Command::Cancel { op: CANCEL, conversation_id, id: id_of(0) }))?;
            }
            Action::Commit(tab) => {
                if let Some((request, transaction)) = self.tabs[tab].transactions.pop_front() {
                    let (result, _) = self.database.run(&transaction);
                    self.tabs[tab].committed = Some(Input::Stored { request, result });
                }
            }
            Action::Committed(tab) => {
                if let Some(input) = self.tabs[tab].committed.take() {
                    self.feed(tab, input)?;
                }
            }
            Action::Arrive(place) => {
                let wire = self.wire.remove(place);
                self.arrive(wire);
            }
            Action::Repeat(place) => {
                self.scope.repeats -= 1;
                let wire = self.wire.remove(place);
                self.wire.push(Wire { waiting: None, http: wire.http.clone() });
                self.arrive(wire);
            }
            Action::GiveUp(place) => {
                self.scope.lost -= 1;
                if let Some((tab, request)) = self.wire[place].waiting.take() {
                    let result = Err(HttpError::Timeout);
                    self.tabs[tab].answers.push_back(Input::Http { request, result });
                }
            }
            Action::Vanish(place) => drop(self.wire.remove(place)),
            Action::Answer(tab) => {
                if let Some(input) = self.tabs[tab].answers.pop_front() {
                    self.feed(tab, input)?;
                }
            }
            Action::Lock(tab) => {
                if let Some(input) = self.tabs[tab].news.pop_front() {
                    self.feed(tab, input)?;
                }
            }
            Action::Hear(tab) => {
                if let Some(message) = self.tabs[tab].told.pop_front() {
                    self.feed(tab, Input::Heard(message))?;
                }
            }
            Action::Crash(tab) => {
                self.scope.crashes -= 1;
                let it = &mut self.tabs[tab];
                it.alive = false;
                it.transactions.clear();
                it.committed = None;
                it.answers.clear();
                it.news.clear();
                it.told.clear();
                for wire in &mut self.wire {
                    wire.waiting = wire.waiting.filter(|(of, _)| *of != tab);
                }
                let news = self.locks.release(tab);
                self.tell_news(news);
            }
            Action::Tick => self.tick()?,
        }
        self.check()
    }

    fn arrive(&mut self, wire: Wire) {
        let answer = self.answer(&wire.http);
        if let Some((tab, request)) = wire.waiting {
            self.tabs[tab].answers.push_back(Input::Http { request, result: Ok(answer) });
        }
    }

    fn answer(&mut self, http: &HttpRequest) -> HttpResponse {
        let answer = self.server.answer(self.mono, http, &Rules::default());
        self.server.live.clear();
        answer
    }

    fn tick(&mut self) -> Result<(), Broken> {
        let due = |tab: &Tab| Some(tab.engine.next_deadline().filter(|_| tab.alive)?.0);
        let next = self.tabs.iter().enumerate().filter_map(|(place, tab)| Some((due(tab)?, place))).min();
        let Some((at, tab)) = next else { return Err(broken("it goes on", "nobody waits for anything".into())) };
        self.mono = self.mono.max(at);
        if self.mono > self.last_event + PATIENCE_MS {
            return Err(broken("the outbox empties in a kind world", self.describe()));
        }
        self.feed(tab, Input::Timer)
    }

    fn feed(&mut self, tab: usize, input: Input) -> Result<(), Broken> {
        let now = Now { mono: self.mono, wall: 1_795_415_400_000 + self.mono };
        let mut inputs = VecDeque::from([(tab, input)]);
        for _ in 0..10_000 {
            let Some((tab, input)) = inputs.pop_front() else { return Ok(()) };
            if !self.tabs[tab].alive {
                continue;
            }
            self.tabs[tab].engine.handle(now, input);
            while let Some(effect) = self.tabs[tab].engine.poll_effect() {
                self.perform(tab, effect, &mut inputs);
            }
            while let Some(update) = self.tabs[tab].engine.poll_update() {
                self.learn(&update)?;
            }
        }
        Err(broken("it comes to rest", "ten thousand inputs at one instant".into()))
    }

    fn perform(&mut self, tab: usize, effect: Effect, inputs: &mut VecDeque<(usize, Input)>) {
        match effect {
            Effect::OpenStore { .. } => inputs.push_back((tab, Input::StoreOpened { result: Ok(()) })),
            Effect::Store { request, transaction } => self.tabs[tab].transactions.push_back((request, transaction)),
            Effect::Http { request, http } if function(&http) == "chat_send" => {
                self.wire.push(Wire { waiting: Some((tab, request)), http });
            }
            Effect::Http { request, http } => {
                let result = if self.scope.evidence { Ok(self.answer(&http)) } else { Err(HttpError::Network) };
                inputs.push_back((tab, Input::Http { request, result }));
            }
            Effect::AbortHttp { request } => {
                for wire in &mut self.wire {
                    wire.waiting = wire.waiting.filter(|waiting| *waiting != (tab, request));
                }
            }
            Effect::FetchToken { request } => {
                inputs.push_back((tab, Input::Token { request, result: Ok(Some(self.jwt.clone())) }));
            }
            Effect::AcquireLock { .. } => {
                let (claim, news) = self.locks.request(LOCK, tab);
                self.tabs[tab].claim = Some(claim);
                self.tell_news(news.into_iter().collect());
            }
            Effect::StealLock { .. } => {
                let news = self.locks.release(tab);
                self.tabs[tab].news.clear();
                self.tell_news(news);
                let (claim, news) = self.locks.steal(LOCK, tab);
                self.tabs[tab].claim = Some(claim);
                self.tell_news(news);
            }
            Effect::ReleaseLock => {
                self.tabs[tab].claim = None;
                self.tabs[tab].news.clear();
                let news = self.locks.release(tab);
                self.tell_news(news);
            }
            Effect::Tell(message) => self.broadcast(tab, &message, inputs),
            // The live channel is out of reach; who is remembered is not asked for here.
            _ => {}
        }
    }

    fn broadcast(&mut self, from: usize, message: &TabMessage, inputs: &mut VecDeque<(usize, Input)>) {
        for tab in (0..self.tabs.len()).filter(|tab| *tab != from) {
            if self.scope.tabs_hear_late && self.tabs[tab].alive {
                self.tabs[tab].told.push_back(message.clone());
            } else {
                inputs.push_back((tab, Input::Heard(message.clone())));
            }
        }
    }

    fn tell_news(&mut self, news: Vec<LockNews>) {
        for news in news {
            let (tab, claim, input) = match news {
                LockNews::Granted(tab, claim) => (tab, claim, Input::LockGranted { exclusive: true }),
                LockNews::Robbed(tab, claim) => (tab, claim, Input::LockLost),
            };
            if self.tabs[tab].claim == Some(claim) {
                self.tabs[tab].news.push_back(input);
            }
        }
    }

    fn learn(&mut self, update: &Update) -> Result<(), Broken> {
        match update {
            Update::Done { op, .. } if (*op as usize) < self.scope.writers.len() => self.accepted.push(*op as usize),
            Update::Done { op: CANCEL, .. } => self.taken_back = true,
            Update::Failed { op, error } if (*op as usize) < self.scope.writers.len() => {
                return Err(broken("a send is accepted", format!("m{op}: {}", error.code)));
            }
            Update::Delivery { id, status, .. } if *status >= DeliveryStatus::Sent && !self.server.has(id.as_str()) => {
                return Err(broken("sent is on the server", id.as_str().into()));
            }
            _ => {}
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Broken> {
        // Once somebody wants it back, its record may go.
        let wanted = |number: &usize| *number != 0 || !self.cancelled;
        for number in self.accepted.iter().filter(|number| wanted(number)) {
            let id = id_of(*number);
            if !self.server.has(id.as_str()) && !self.database.holds(id.as_str()) {
                return Err(broken("nothing is lost", format!("m{number}")));
            }
        }
        let Some(conversation) = self.server.conversation(CONVERSATION) else { return Ok(()) };
        let mut order: Vec<_> = Vec::new();
        for row in conversation.rows.iter().filter(|row| row.kind == "message") {
            order.push(self.database.order_of(&row.id));
        }
        if !order.is_sorted() {
            return Err(broken("the order of sending", format!("{order:?}")));
        }
        if self.taken_back && self.is_settled() {
            let live = conversation.rows.iter().any(|row| row.id == id_of(0).as_str() && !row.deleted);
            if live {
                return Err(broken("what was taken back is gone", "m0".into()));
            }
        }
        Ok(())
    }

    /// The number of a tab's nth own message.
    fn number_of(&self, tab: usize, nth: usize) -> usize {
        let own = self.scope.writers.iter().enumerate().filter(|(_, writer)| **writer == tab);
        own.map(|(number, _)| number).nth(nth).unwrap_or(usize::MAX)
    }

    fn describe(&self) -> String {
        let left: Vec<_> = self.database.outbox().filter_map(|record| text(record, "id")).collect();
        format!("left: {left:?}, holder: {:?}", self.locks.holder(LOCK))
    }

    /// States that cannot be told apart by what may follow have the same one.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.scope.crashes, self.scope.lost, self.scope.repeats, self.scope.cancels).hash(&mut hasher);
        (self.taken_back, self.cancelled, self.mono, self.last_event, &self.accepted, self.database.generation())
            .hash(&mut hasher);
        for record in self.database.outbox() {
            surechat::json::print(record).hash(&mut hasher);
        }
        if let Some(conversation) = self.server.conversation(CONVERSATION) {
            for row in &conversation.rows {
                (&row.id, row.deleted, &row.content).hash(&mut hasher);
            }
        }
        self.locks.holder(LOCK).hash(&mut hasher);
        for tab in &self.tabs {
            (tab.alive, tab.written, tab.claim).hash(&mut hasher);
            if tab.alive {
                tab.engine.fingerprint().hash(&mut hasher);
                for (request, _) in &tab.transactions {
                    request.hash(&mut hasher);
                }
            }
            for unheard in [&tab.news, &tab.answers, &tab.committed.iter().cloned().collect()] {
                unheard.iter().map(words).collect::<Vec<_>>().hash(&mut hasher);
            }
            for message in &tab.told {
                surechat::json::print(&message.to_value()).hash(&mut hasher);
            }
        }
        for wire in &self.wire {
            (wire.waiting, &wire.http.body).hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// Everything that it says, of what waits in a tab.
fn words(input: &Input) -> String {
    match input {
        Input::Stored { request, result } => format!("stored {request} {result:?}"),
        Input::Http { request, result } => {
            let answer = result.as_ref().map(|response| (response.status, &response.body));
            format!("answer {request} {answer:?}")
        }
        Input::LockGranted { .. } => "granted".into(),
        Input::LockLost => "lost".into(),
        _ => unreachable!("nothing else waits"),
    }
}

impl Tab {
    fn new(tab: usize) -> Self {
        let config = Config {
            url: "http://localhost:1".into(),
            api_key: "key".into(),
            user_id: Some(USER.into()),
            sender_role: None,
            resume_on_reconnect: true,
            auto_read: true,
            ticks_of_all: false,
            keep_messages: 50_000,
            request_timeout_ms: 10_000,
            source: Default::default(),
            drain_only: false,
        };
        Self {
            engine: Engine::new(config, tab as u64 + 1),
            alive: true,
            transactions: VecDeque::new(),
            committed: None,
            answers: VecDeque::new(),
            news: VecDeque::new(),
            told: VecDeque::new(),
            claim: None,
            written: 0,
        }
    }
}

fn id_of(number: usize) -> MessageId {
    MessageId::v7(1_795_415_400_000, [number as u8 + 1; 10])
}
