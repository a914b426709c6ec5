//! The engine: decides everything, does nothing.
//!
//! ```text
//! engine.handle(now, input);                      // everything that can happen
//! while let Some(effect) = engine.poll_effect()   // do it; its completion comes back as an input
//! while let Some(update) = engine.poll_update()   // what an observer learns
//! engine.next_deadline()                          // feed Input::Timer then; late or twice is harmless
//! ```
//!
//! It is plain Rust: no browser, no clock, no randomness, no panic. After every input it looks at
//! what *could* be done now (`pump`), instead of remembering what was about to be done: a lost
//! signal makes things later, never undone.

mod accept;
mod acts;
mod delivery;
mod drain;
mod history;
mod io;
mod lead;
mod life;
mod list;
mod people;
mod publish;
mod reading;
mod receipts;
mod room;
mod shown;
mod storage;
mod table;

use std::collections::VecDeque;

use litemap::LiteMap;

use accept::Accepting;
use acts::{ActFrom, Relay};
use history::History;
pub use io::{
    Command, Config, DeadlineReason, Effect, Input, Now, OperationId, PageEvent, Person, Problem, RequestId, Update,
};
use list::Listing;
use shown::Shown;

use crate::{
    health::{ConnectionStatus, Health},
    json::Value,
    message::{DeliveryStatus, Envelope, MessageId, StoredMessage},
    outbox::{Act, Change, Outbox, Settlement},
    people::{People, Screens, Typist},
    realtime::{self, Realtime},
    rest::{Doubt, Outcome, OwnTable, Start},
    session::Session,
    store::{MAX_NUMBER, Operation, StoreError, Transaction},
    sync::Sync,
    tabs::{Role, TabMessage, Watch},
};

/// Followers lose their patience one after another.
const JITTER_MS: u64 = 500;

/// Where the engine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    /// It does not know yet whose outbox it is.
    Identifying {
        until: u64,
    },
    Opening,
    Running,
    Closed,
}

/// What an effect was for.
#[derive(Clone, Debug)]
enum Request {
    Token,
    Persist,
    /// Rows for the screen, in a tab that starts or follows.
    ReadOutbox,
    /// New rows before a request is built.
    ReadNewRows,
    /// Rows of the cache, among which messages may be that are gone from the outbox.
    Fates {
        gone: Vec<Envelope>,
    },
    Send {
        jwt: String,
    },
    /// What a plain way's answer left in doubt.
    LookUp {
        jwt: String,
        doubt: Doubt,
    },
    Settle(Settlement),
    /// Rows that came back as stored before their answer did.
    Evidence {
        changes: Vec<Change>,
        sent: Vec<StoredMessage>,
    },
    Act {
        from: ActFrom,
        act: Act,
        changes: Vec<Change>,
    },
    RaiseGeneration,
    Beat,
    GiveUpLease,
    Conversations,
    Conversation {
        conversation_id: String,
    },
    Rows {
        conversation_id: String,
        from: u64,
    },
    /// What an answer of the list brought, of these conversations.
    SaveAll {
        saved: Vec<(String, u64, u64)>,
    },
    /// The list, in a tab that follows.
    List,
    SaveRows {
        conversation_id: String,
        low: u64,
        cursor: u64,
    },
    /// A page of history from the cache.
    OlderRows {
        conversation_id: String,
    },
    /// Part of the cache, in which an edit or a delete looks for what it aims at.
    Target {
        amendment: StoredMessage,
        from: u64,
    },
    /// A page of history from the server.
    Older {
        conversation_id: String,
        before: u64,
        jwt: String,
    },
    Sync {
        jwt: String,
        /// Of a table: the conversation, and where its window begins.
        window: Option<(String, Start)>,
    },
    Ack {
        jwt: String,
        said: Vec<receipts::Receipt>,
    },
    Discard,
    /// These conversations are being deleted from the cache.
    MakeRoom {
        gone: Vec<String>,
    },
    /// What is unsent at the end.
    LastRead,
}

/// The call that waits for the end.
#[derive(Clone, Debug)]
struct Closing {
    op: OperationId,
    discard: bool,
    /// What is unsent was asked for.
    read: bool,
    counted: bool,
}

/// A call of the app that waits for a sync.
#[derive(Clone, Debug)]
struct Reload {
    op: OperationId,
    conversation_id: String,
    until: u64,
    /// The request under way was built before the call: it takes another one.
    again: bool,
}

#[derive(Clone)]
pub struct Engine {
    config: Config,
    now: Now,
    phase: Phase,
    user_id: String,
    remembered_user: Option<String>,
    visible: bool,
    /// The page said that it freezes or leaves. If it still works by then, it did neither.
    away: Option<u64>,
    /// `false`: there is no database, and nothing is promised.
    durable: bool,
    /// Why there is none.
    storage_error: StoreError,

    session: Session,
    health: Health,
    realtime: Realtime,
    realtime_wants_token: bool,
    outbox: Outbox,
    /// Rows of the outbox that came back from the server.
    evidence: Vec<StoredMessage>,
    /// An answer that came while something else was written.
    answer: Option<Outcome>,
    /// [`Sync::resets`] when the last rows set out: what is answered to them later may be of another database.
    sent_at_resets: u32,
    /// One writer of the outbox is at work at a time.
    writing: bool,
    /// What the leader has to do, in this order, once it has read the new rows.
    acts: VecDeque<(ActFrom, Act)>,
    acts_unread: bool,
    /// Acts of this tab that wait for a leader.
    relays: Vec<Relay>,
    sync: Sync,
    role: Role,
    /// Names this tab among the others.
    tab: u64,
    watch: Watch,
    /// It leads by a lease, for want of Web Locks.
    leases: bool,
    asked_to_yield: bool,
    /// As the leader: another tab wants to know how the rows are.
    followed: bool,
    shown: LiteMap<String, Shown>,
    people: People,
    typist: Typist,
    screens: Screens,
    /// The conversations whose topics are joined.
    topics: Vec<String>,
    /// What the leader knows that this tab shows.
    said_screen: Vec<String>,
    screen_said_at: u64,

    /// Sends that wait until it is known whose they are.
    waiting: Vec<Command>,
    accepting: Accepting,
    reloads: Vec<Reload>,
    history: History,
    closing: Option<Closing>,
    /// A read of what is shown was refused.
    reread: bool,
    reading_outbox: bool,
    /// What is being read of the outbox may have changed meanwhile: once more.
    outbox_again: bool,
    /// What the database knows of the conversations was read since this tab leads.
    cursors_read: bool,
    /// The last one that this tab led under.
    last_generation: u64,
    rng: fastrand::Rng,
    /// Writes to the cache that wait for the one before, by conversation.
    saving: LiteMap<String, Option<Vec<Operation>>>,
    /// The cache may have become larger than it should be.
    trim_due: bool,
    /// The conversations whose changes are told live, where a table is read.
    joined: Vec<String>,
    /// Writes of several conversations that become one.
    batch: Option<Vec<Operation>>,
    listing: Listing,
    /// After a read or a lead that the database refused.
    store_not_before: u64,
    /// Another tab may have added rows.
    unread: bool,
    beat_at: u64,
    acking: bool,
    ack_not_before: u64,
    ack_failures: u32,
    /// Own messages of this session, until they are read.
    awaiting_ticks: Vec<StoredMessage>,

    requests: LiteMap<RequestId, Request>,
    last_request: RequestId,
    effects: VecDeque<Effect>,
    updates: VecDeque<Update>,

    said_status: Option<ConnectionStatus>,
    said_pending: Option<Vec<(String, usize)>>,
    /// And whether it is refused.
    said_delivery: LiteMap<MessageId, (DeliveryStatus, bool)>,
    /// By conversation; `None` for those of the whole client.
    problems: Vec<(Option<String>, Problem)>,
    tell_changed: bool,
    said_drained: bool,
}

impl Engine {
    pub fn new(config: Config, seed: u64) -> Self {
        let mut seeds = fastrand::Rng::with_seed(seed);
        let host = config.url.strip_prefix("http").unwrap_or(&config.url);
        let endpoint = ["ws", host, "/realtime/v1/websocket"].concat();
        Self {
            now: Now::default(),
            phase: Phase::New,
            user_id: String::new(),
            remembered_user: None,
            visible: true,
            away: None,
            durable: true,
            storage_error: StoreError::Unavailable(String::new()),
            session: Session::default(),
            health: Health::new(true),
            realtime: Realtime::new(realtime::Config::new(endpoint, config.api_key.clone()), seeds.u64(..)),
            realtime_wants_token: false,
            outbox: Outbox::new(config.resume_on_reconnect, seeds.u64(..)).plain(config.source.is_plain()),
            evidence: Vec::new(),
            answer: None,
            sent_at_resets: 0,
            writing: false,
            acts: VecDeque::new(),
            acts_unread: false,
            relays: Vec::new(),
            sync: Sync::new(seeds.u64(..)).windowed(config.source.table.as_ref().map(OwnTable::incarnation)),
            role: Role::Aside,
            tab: seeds.u64(..=MAX_NUMBER),
            watch: Watch::new(seeds.u64(..JITTER_MS)),
            leases: false,
            asked_to_yield: false,
            followed: false,
            shown: LiteMap::new(),
            people: People::default(),
            typist: Typist::default(),
            screens: Screens::default(),
            topics: Vec::new(),
            said_screen: Vec::new(),
            screen_said_at: 0,
            waiting: Vec::new(),
            accepting: Accepting::default(),
            reloads: Vec::new(),
            history: History::default(),
            closing: None,
            reread: false,
            reading_outbox: false,
            outbox_again: false,
            cursors_read: false,
            last_generation: 0,
            saving: LiteMap::new(),
            trim_due: false,
            joined: Vec::new(),
            batch: None,
            listing: Listing::default(),
            store_not_before: 0,
            unread: false,
            beat_at: 0,
            acking: false,
            ack_not_before: 0,
            ack_failures: 0,
            awaiting_ticks: Vec::new(),
            requests: LiteMap::new(),
            last_request: 0,
            effects: VecDeque::new(),
            updates: VecDeque::new(),
            said_status: None,
            said_pending: None,
            said_delivery: LiteMap::new(),
            problems: Vec::new(),
            tell_changed: false,
            said_drained: false,
            rng: seeds,
            config,
        }
    }

    pub fn handle(&mut self, now: Now, input: Input) {
        // A monotonic clock that steps back is somebody else's mistake, and must not be ours.
        self.now = Now { mono: now.mono.max(self.now.mono), wall: now.wall };
        match input {
            Input::Command(command) => self.on_command(command),
            Input::Page(event) => self.on_page(event),
            Input::StoreOpened { result } => self.on_store_opened(result),
            Input::StoreLost { outdated } => self.on_store_lost(outdated),
            Input::Stored { request, result } => self.on_stored(request, result),
            Input::Http { request, result } => self.on_http(request, result),
            Input::Token { request, result } => self.on_token(request, result),
            Input::Socket(input) => self.realtime.handle(self.now.mono, input),
            Input::LockGranted { exclusive } => self.on_lock_granted(exclusive),
            Input::LockLost => self.on_lock_lost(),
            Input::Heard(message) => self.on_heard(message),
            Input::Timer => self.on_timer(),
        }
        self.pump();
        self.publish();
        self.publish_drained();
    }

    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    pub fn poll_update(&mut self) -> Option<Update> {
        self.updates.pop_front()
    }

    /// When the engine wants [`Input::Timer`], on the monotonic clock in milliseconds.
    pub fn next_deadline(&self) -> Option<(u64, DeadlineReason)> {
        if matches!(self.phase, Phase::New | Phase::Closed) {
            return None;
        }
        let leading = self.role.generation().is_some();
        let wants_token = self.wants_token();
        let mut first: Option<(u64, DeadlineReason)> = None;
        let mut add = |wanted: bool, at: Option<u64>, reason: DeadlineReason| {
            if let Some(at) = at.filter(|at| wanted && first.is_none_or(|(before, _)| *at < before)) {
                first = Some((at, reason));
            }
        };
        if let Phase::Identifying { until } = self.phase {
            add(true, Some(until), DeadlineReason::Identity);
        }
        add(wants_token, Some(self.session.deadline()), DeadlineReason::Token);
        add(true, self.reloads.iter().map(|reload| reload.until).min(), DeadlineReason::Call);
        add(true, self.history_deadline(), DeadlineReason::Call);
        add(leading && !self.reading_outbox && !wants_token, self.attempt_at(), DeadlineReason::Attempt);
        add(self.syncs() && self.cursors_read && !wants_token, self.sync.deadline(), DeadlineReason::Sync);
        let acks = self.syncs() && !wants_token && self.receipt_waits();
        add(acks, Some(self.ack_not_before), DeadlineReason::Receipts);
        add(true, self.beat_deadline(), DeadlineReason::Beat);
        add(true, self.away, DeadlineReason::Beat);
        add(self.waits_for_storage(), Some(self.store_not_before), DeadlineReason::Storage);
        add(true, self.people_deadline(), DeadlineReason::People);
        add(true, self.realtime.poll_timeout().map(|(at, _)| at), DeadlineReason::Realtime);
        first
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Start { remembered_user, visible, online } => self.start(remembered_user, visible, online),
            Command::Send { .. } => self.send(command),
            Command::Open { conversation_id } => self.open(conversation_id),
            Command::Close { conversation_id } => self.close(&conversation_id),
            Command::Reload { op, conversation_id } => self.reload(op, conversation_id),
            Command::LoadOlder { op, conversation_id } => self.load_older(op, conversation_id),
            Command::List { on } => self.show_list(on),
            Command::Retry { op, conversation_id } => self.act(op, Act::Retry { conversation_id }),
            Command::Cancel { op, conversation_id, id } => self.act(op, Act::Cancel { conversation_id, id }),
            Command::Edit { op, conversation_id, id, edit_id, content } => {
                self.act(op, Act::Edit { conversation_id, id, edit_id, content });
            }
            Command::Discard { op, conversation_id, id } => self.act(op, Act::Discard { conversation_id, id }),
            Command::MarkRead { conversation_id } => self.mark_read(&conversation_id),
            Command::Typing { conversation_id, on } => self.set_typing(&conversation_id, on),
            Command::Shutdown { op, discard } => self.shutdown(op, discard),
        }
    }

    fn on_stored(&mut self, request: RequestId, result: crate::store::StoreResult) {
        let Some(purpose) = self.requests.remove(&request) else { return };
        if matches!(purpose, Request::Settle(_) | Request::Evidence { .. } | Request::Act { .. }) {
            self.writing = false;
        }
        match purpose {
            Request::Persist => self.persisted(result),
            Request::ReadOutbox => self.outbox_read(result),
            Request::ReadNewRows => self.new_rows_read(result),
            Request::Fates { gone } => self.fates_read(gone, result),
            Request::Settle(settlement) => self.settled(settlement, result),
            Request::Evidence { changes, sent } => self.evidence_written(changes, &sent, result),
            Request::Act { from, act, changes } => self.act_written(from, act, changes, result),
            Request::RaiseGeneration => self.generation_raised(result),
            Request::Beat => self.beaten(result),
            Request::GiveUpLease => self.lease_given_up(),
            Request::Conversations => self.conversations_read(result),
            Request::Conversation { conversation_id } => self.conversation_read(conversation_id, result),
            Request::Rows { conversation_id, from } => self.rows_read(&conversation_id, from, result),
            Request::SaveRows { conversation_id, low, cursor } => {
                self.rows_saved(&conversation_id, low, cursor, result);
            }
            Request::Target { amendment, from } => self.target_read(amendment, from, result),
            Request::OlderRows { conversation_id } => self.older_read(&conversation_id, result),
            Request::SaveAll { saved } => self.all_saved(saved, result),
            Request::List => self.list_read(result),
            Request::Discard => self.discarded(result),
            Request::LastRead => self.last_read(result),
            Request::MakeRoom { gone } => self.room_made(&gone, result),
            Request::Token
            | Request::Send { .. }
            | Request::LookUp { .. }
            | Request::Sync { .. }
            | Request::Older { .. }
            | Request::Ack { .. } => {}
        }
        self.finish_closing();
    }

    fn on_http(&mut self, request: RequestId, result: Result<crate::rest::HttpResponse, crate::rest::HttpError>) {
        match self.requests.remove(&request) {
            Some(Request::Send { jwt }) => self.send_answered(&jwt, result),
            Some(Request::LookUp { jwt, doubt }) => self.looked_up(&jwt, doubt, result),
            Some(Request::Sync { jwt, window }) => self.sync_answered(&jwt, window, result),
            Some(Request::Older { conversation_id, before, jwt }) => {
                self.older_answered(conversation_id, before, &jwt, result);
            }
            Some(Request::Ack { jwt, said }) => self.ack_answered(&jwt, &said, result),
            _ => {}
        }
    }

    fn on_timer(&mut self) {
        let now = self.now.mono;
        if let Phase::Identifying { until } = self.phase
            && until <= now
        {
            self.identify_by_memory();
        }
        if self.away.is_some_and(|until| until <= now) {
            self.come_back();
        }
        self.watch_over_the_lead();
        if self.role == Role::Refused && self.store_not_before <= now {
            self.queue_for_lead();
        }
        self.reopen_store();
        self.realtime.handle_timeout(now);
        self.people_timer();
        let (late, waiting) = std::mem::take(&mut self.reloads).into_iter().partition(|reload| reload.until <= now);
        self.reloads = waiting;
        self.fail_reloads(late, "timeout", "unable to load the messages; because the server did not answer in time");
        self.time_out_history();
    }

    /// Whatever can be done now, is.
    fn pump(&mut self) {
        self.pump_realtime();
        if self.phase == Phase::Running && self.closing.is_none() {
            self.yield_lead();
            self.look();
            self.read_again();
            self.drain();
            if !self.config.drain_only {
                self.delete_withdrawn();
                self.catch_up();
                self.pump_history();
                self.acknowledge();
                self.amend_cache();
                self.trim();
                self.join_conversations();
            }
            self.pump_realtime();
        }
        if self.wants_token() && self.session.ask(self.now.mono) {
            let request = self.expect(Request::Token);
            self.effects.push_back(Effect::FetchToken { request });
        }
    }

    /// Tells states apart, for a search through them; what it says of the live channel is only its next deadline.
    #[cfg(not(target_family = "wasm"))]
    pub fn fingerprint(&self) -> String {
        let delivery = (&self.outbox, &self.accepting, &self.evidence, &self.answer, self.unread, self.reading_outbox);
        let acts = (&self.acts, &self.relays, self.acts_unread, self.writing);
        let reading = (
            &self.sync,
            &self.history,
            self.saving.len(),
            self.cursors_read,
            self.reread,
            self.acking,
            self.ack_not_before,
        );
        let lead = (self.role, &self.watch, self.away, self.leases, self.asked_to_yield, self.followed);
        let life = (self.phase, lead, &self.session, &self.health, &self.closing);
        let times = (self.beat_at, self.store_not_before, self.last_generation, self.realtime.poll_timeout());
        format!(
            "{:?}",
            (
                delivery,
                acts,
                reading,
                life,
                times,
                &self.requests,
                &self.said_delivery,
                self.tell_changed,
                &self.listing
            )
        )
    }

    fn store(&mut self, purpose: Request, transaction: Transaction) {
        let request = self.expect(purpose);
        self.effects.push_back(Effect::Store { request, transaction });
    }

    fn write(&mut self, purpose: Request, transaction: Transaction) {
        self.writing = true;
        self.store(purpose, transaction);
    }

    fn expect(&mut self, purpose: Request) -> RequestId {
        self.last_request += 1;
        self.requests.insert(self.last_request, purpose);
        self.last_request
    }

    fn tell(&mut self, message: TabMessage) {
        self.effects.push_back(Effect::Tell(message));
    }

    fn done(&mut self, op: OperationId, result: Value) {
        self.updates.push_back(Update::Done { op, result });
    }

    fn fail(&mut self, op: OperationId, code: &str, message: &str) {
        self.updates.push_back(Update::Failed { op, error: Problem::new(code, message) });
    }
}

#[cfg(test)]
mod tests;
