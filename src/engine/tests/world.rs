//! One browser tab around the engine: a database, a network, a clock that jumps to the next
//! deadline, and a server that is a model.

use std::collections::{BTreeMap, VecDeque};

use crate::{json, json::Value};
use base64ct::{Base64UrlUnpadded, Encoding};

use super::server::Server;
use crate::{
    engine::{Command, Config, Effect, Engine, Input, Now, PageEvent, Problem, Update},
    message::MessageId,
    realtime,
    rest::{HttpError, HttpRequest, HttpResponse},
    store::{MemoryStore, Operation, Reply, StoreError, Table, Transaction},
    tabs::TabMessage,
};

pub const BOOKING: &str = "b1";
pub const OPERATOR: &str = "operator-1";
pub const CLIENT: &str = "client-1";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockAsk {
    Acquire,
    IfFree,
    Steal,
    Release,
}

pub struct World {
    pub engine: Engine,
    pub store: MemoryStore,
    pub server: Server,
    pub now: Now,
    pub online: bool,
    /// `None`: nobody is signed in.
    pub signed_in: Option<&'static str>,
    /// The app cannot say who is signed in.
    pub provider_throws: bool,
    pub tokens_given: u64,
    /// The app goes on giving the token it gave last.
    pub keeps_token: bool,
    pub has_database: bool,
    pub store_fault: Option<StoreError>,
    pub reads_fail: bool,
    /// Records that the database answered with.
    pub records_read: usize,
    /// Writes wait until [`World::release_writes`].
    pub holds_writes: bool,
    /// Reads wait until [`World::release_read`].
    pub holds_reads: bool,
    held: Vec<(u64, Transaction)>,
    /// Requests that carry rows wait until [`World::arrive`].
    pub holds_sends: bool,
    sends: VecDeque<(u64, HttpRequest)>,
    /// Requests that ask for rows wait until [`World::let_go`] or [`World::answer_sync`].
    pub holds_syncs: bool,
    pub syncs: VecDeque<(u64, HttpRequest)>,
    /// What pages that went away left behind.
    pub keepalives: Vec<HttpRequest>,
    /// Nothing can be added until something was deleted.
    pub full_until_deleted: bool,
    pub lock_is_free: bool,
    /// What the tab asked of its lock, where it is not simply free.
    pub lock_asks: Vec<LockAsk>,
    pub updates: Vec<Update>,
    /// It hears other tabs, and is heard.
    pub in_touch: bool,
    pub said: Vec<TabMessage>,
    /// Joins that the server refuses for their token.
    pub refused_joins: u32,
    /// `false`: what the server sends live is lost.
    pub live: bool,
    /// The live channel is faster than the answer to the request itself.
    pub live_first: bool,
    socket: Option<u32>,
    topic: Option<String>,
    /// The conversations' topics that are joined, with their `join_ref`.
    pub side_topics: BTreeMap<String, Value>,
    /// `false`: the server lets nobody onto those.
    pub has_sides: bool,
    /// `false`: no socket ever opens.
    pub has_sockets: bool,
    /// What went out there: the topic, the event, the payload.
    pub side_frames: Vec<(String, String, Value)>,
    next_op: u32,
    next_id: u8,
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let server = Server::with_conversation(BOOKING, &[(OPERATOR, "operator"), (CLIENT, "client")]);
        let mut config = Config {
            url: "http://localhost:1".into(),
            api_key: "key".into(),
            user_id: None,
            sender_role: None,
            resume_on_reconnect: true,
            auto_read: true,
            ticks_of_all: false,
            keep_messages: 50_000,
            request_timeout_ms: 10_000,
            source: Default::default(),
            drain_only: false,
        };
        configure(&mut config);
        Self {
            engine: Engine::new(config, 7),
            store: MemoryStore::default(),
            server,
            now: Now { mono: 1_000, wall: 1_795_415_400_000 },
            online: true,
            signed_in: Some(OPERATOR),
            provider_throws: false,
            tokens_given: 0,
            keeps_token: false,
            has_database: true,
            store_fault: None,
            reads_fail: false,
            records_read: 0,
            holds_writes: false,
            holds_reads: false,
            held: Vec::new(),
            holds_sends: false,
            sends: VecDeque::new(),
            holds_syncs: false,
            syncs: VecDeque::new(),
            keepalives: Vec::new(),
            full_until_deleted: false,
            lock_is_free: true,
            lock_asks: Vec::new(),
            updates: Vec::new(),
            in_touch: false,
            said: Vec::new(),
            refused_joins: 0,
            live: true,
            live_first: false,
            socket: None,
            topic: None,
            side_topics: BTreeMap::new(),
            has_sides: true,
            has_sockets: true,
            side_frames: Vec::new(),
            next_op: 0,
            next_id: 0,
        }
    }

    pub fn started() -> Self {
        let mut world = Self::new();
        world.start();
        world
    }

    /// One of several tabs, which somebody else gives the lock.
    pub fn nth(nth: u8) -> Self {
        let mut world = Self::new();
        world.engine = Engine::new(world.engine.config.clone(), u64::from(nth));
        world.next_id = nth * 50;
        world.lock_is_free = false;
        world
    }

    /// A worker without a page.
    pub fn worker(nth: u8) -> Self {
        let mut world = Self::nth(nth);
        let config = Config { user_id: Some(OPERATOR.into()), drain_only: true, ..world.engine.config.clone() };
        world.engine = Engine::new(config, u64::from(nth));
        world
    }

    pub fn start(&mut self) {
        self.command(Command::Start { remembered_user: None, visible: true, online: self.online });
        self.command(Command::Open { conversation_id: BOOKING.into() });
    }

    /// The tab dies and a new one starts on the same database and server.
    pub fn restart(&mut self) {
        let config = self.engine.config.clone();
        let old = std::mem::replace(self, Self::with(|fresh| *fresh = config));
        self.store = old.store;
        self.server = old.server;
        self.now = old.now;
        self.online = old.online;
        self.next_id = old.next_id;
        self.start();
    }

    pub fn send(&mut self, text: &str) -> u32 {
        self.send_to(BOOKING, text, json!({}))
    }

    pub fn send_to(&mut self, conversation: &str, text: &str, metadata: Value) -> u32 {
        self.next_op += 1;
        self.next_id += 1;
        let id = MessageId::v7(self.now.wall, [self.next_id; 10]);
        self.command(Command::Send {
            op: self.next_op,
            id,
            conversation_id: conversation.into(),
            content: text.into(),
            message_type: "text".into(),
            metadata,
        });
        self.next_op
    }

    /// A message of the client, live.
    pub fn receive(&mut self, id: &str, content: &str) {
        self.server.post(BOOKING, CLIENT, id, content);
        self.feed(Input::Timer);
    }

    pub fn command(&mut self, command: Command) {
        self.feed(Input::Command(command));
    }

    pub fn set_online(&mut self, online: bool) {
        self.online = online;
        if !online {
            self.socket = None;
        }
        self.feed(Input::Page(if online { PageEvent::Online } else { PageEvent::Offline }));
    }

    /// Let time pass, from deadline to deadline.
    pub fn run_for(&mut self, ms: u64) {
        let end = self.now.mono + ms;
        for _ in 0..10_000 {
            match self.engine.next_deadline() {
                Some((at, _)) if at <= end => {
                    self.advance_to(at);
                    self.feed(Input::Timer);
                }
                _ => return self.advance_to(end),
            }
        }
        panic!("the engine never rests: {:?}", self.engine.next_deadline());
    }

    pub fn feed(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        for _ in 0..10_000 {
            while let Some(update) = self.engine.poll_update() {
                self.updates.push(update);
            }
            let Some(effect) = self.engine.poll_effect() else {
                if !self.deliver_live() {
                    return;
                }
                continue;
            };
            for input in self.perform(effect) {
                self.engine.handle(self.now, input);
            }
        }
        panic!("the engine never rests");
    }

    /// Run the writes that wait, one after the other, with these fates and then well.
    pub fn release_writes(&mut self, fates: Vec<Result<(), StoreError>>) {
        let mut fates = fates.into_iter();
        while !self.held.is_empty() {
            let (request, transaction) = self.held.remove(0);
            let result = fates.next().unwrap_or(Ok(())).and_then(|()| self.store.run(&transaction));
            self.feed(Input::Stored { request, result });
        }
    }

    /// Run the first transaction that waits, if there is one.
    pub fn release_read(&mut self) -> bool {
        if self.held.is_empty() {
            return false;
        }
        let (request, transaction) = self.held.remove(0);
        let result = self.store.run(&transaction);
        self.feed(Input::Stored { request, result });
        true
    }

    pub fn writes_wait(&self) -> bool {
        !self.held.is_empty()
    }

    /// Run the first of the writes that wait.
    pub fn release_one_write(&mut self) {
        self.release_one_write_as(Ok(()));
    }

    pub fn release_one_write_as(&mut self, fate: Result<(), StoreError>) {
        let (request, transaction) = self.held.remove(0);
        let result = fate.and_then(|()| self.store.run(&transaction));
        self.feed(Input::Stored { request, result });
    }

    /// The first request that waits reaches the server, which answers it.
    pub fn arrive(&mut self) {
        let answer = self.reach();
        self.feed(answer);
    }

    /// It reaches the server, and the answer is still on its way.
    pub fn reach(&mut self) -> Input {
        let (request, http) = self.sends.pop_front().expect("a request");
        let result = self.server.answer(self.now.mono, &http);
        Input::Http { request, result }
    }

    /// Requests wait no longer.
    pub fn let_go(&mut self) {
        self.holds_sends = false;
        while !self.sends.is_empty() {
            self.arrive();
        }
        self.holds_syncs = false;
        while let Some((request, http)) = self.syncs.pop_front() {
            let result = self.server.answer(self.now.mono, &http);
            self.feed(Input::Http { request, result });
        }
    }

    /// The first request for rows that waits is answered so.
    pub fn answer_sync(&mut self, result: Result<HttpResponse, HttpError>) {
        let (request, _) = self.syncs.pop_front().expect("a request");
        self.feed(Input::Http { request, result });
    }

    /// It reaches the server, and its answer is lost.
    pub fn arrive_unanswered(&mut self) {
        let (request, http) = self.sends.pop_front().expect("a request");
        let _ = self.server.answer(self.now.mono, &http);
        self.feed(Input::Http { request, result: Err(crate::rest::HttpError::Timeout) });
    }

    /// A copy of it, which the browser sends once more by itself.
    pub fn copy(&self) -> HttpRequest {
        self.sends.front().expect("a request").1.clone()
    }

    pub fn outbox(&self) -> usize {
        self.store.table(Table::Outbox).count()
    }

    /// The contents on the screen, in order, with the state of the own ones.
    pub fn screen(&self) -> Vec<(String, String)> {
        let mut view: BTreeMap<u64, Value> = BTreeMap::new();
        for update in &self.updates {
            let Update::Messages { conversation_id, patch } = update else { continue };
            if conversation_id != BOOKING {
                continue;
            }
            if patch.reset {
                view.clear();
            }
            let gone = |message: &Value| patch.removes.iter().any(|id| message["id"] == id.as_str());
            view.retain(|_, message| {
                !gone(message) && !patch.upserts.iter().any(|(_, new)| new["id"] == message["id"])
            });
            view.extend(patch.upserts.iter().cloned());
        }
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        view.values().map(|message| (text(&message["content"]), text(&message["delivery_status"]))).collect()
    }

    pub fn failure_of(&self, op: u32) -> Option<String> {
        self.error_of(op).map(|error| error.code.clone())
    }

    pub fn sentence_of(&self, op: u32) -> Option<String> {
        self.error_of(op).map(|error| error.message.clone())
    }

    fn error_of(&self, op: u32) -> Option<&Problem> {
        self.updates.iter().find_map(|update| match update {
            Update::Failed { op: of, error } if *of == op => Some(error),
            _ => None,
        })
    }

    pub fn is_done(&self, op: u32) -> bool {
        self.updates.iter().any(|update| matches!(update, Update::Done { op: of, .. } if *of == op))
    }

    /// What a call was answered with.
    pub fn answer_to(&self, op: u32) -> Option<&Value> {
        self.updates.iter().find_map(|update| match update {
            Update::Done { op: of, result } if *of == op => Some(result),
            _ => None,
        })
    }

    /// The last number of messages that are not known to be on the server.
    pub fn pending(&self) -> usize {
        let pending = self.updates.iter().rev().find_map(|update| match update {
            Update::Pending { total, .. } => Some(*total),
            _ => None,
        });
        pending.unwrap_or(0)
    }

    /// The states that were announced, in order.
    pub fn announced(&self) -> Vec<&'static str> {
        let status =
            |update: &Update| if let Update::Delivery { status, .. } = update { Some(status.as_str()) } else { None };
        self.updates.iter().filter_map(status).collect()
    }

    pub fn connections(&self) -> Vec<&'static str> {
        let status =
            |update: &Update| if let Update::Connection(status) = update { Some(status.as_str()) } else { None };
        self.updates.iter().filter_map(status).collect()
    }

    /// The server drops the socket.
    pub fn cut(&mut self) {
        if let Some(epoch) = self.socket.take() {
            self.feed(Input::Socket(realtime::Input::Closed { epoch, code: 1006 }));
        }
    }

    pub fn broadcast(&mut self, event: &str, payload: &Value) {
        let (Some(epoch), Some(topic)) = (self.socket, self.topic.clone()) else { return };
        let frame = json!([null, null, topic, "broadcast", {"type": "broadcast", "event": event, "payload": payload}]);
        self.feed(Input::Socket(realtime::Input::Text { epoch, text: frame.to_string() }));
    }

    fn side_frame(&mut self, conversation: &str, frame: &Value, reply: Value) -> Option<Value> {
        match frame[3].as_str()? {
            "phx_join" if !self.has_sides => {
                let reason =
                    json!({"status": "error", "response": {"reason": "Unauthorized: You do not have permissions"}});
                return Some(json!([frame[0], frame[1], frame[2], "phx_reply", reason]));
            }
            "phx_join" => {
                self.side_topics.insert(conversation.to_owned(), frame[0].clone());
            }
            "phx_leave" => {
                self.side_topics.remove(conversation);
            }
            event => self.side_frames.push((conversation.to_owned(), event.to_owned(), frame[4].clone())),
        }
        Some(reply)
    }

    /// From the server, on the topic of a conversation.
    pub fn on_side(&mut self, conversation: &str, event: &str, payload: Value) {
        let epoch = self.socket.expect("a socket");
        let frame = json!([null, null, format!("realtime:chat:{conversation}"), event, payload]);
        self.feed(Input::Socket(realtime::Input::Text { epoch, text: frame.to_string() }));
    }

    /// Who is shown to be there, as told last.
    pub fn people(&self) -> Vec<(String, String, bool)> {
        let people = self.updates.iter().rev().find_map(|update| match update {
            Update::People { conversation_id, people } if conversation_id == BOOKING => Some(people.clone()),
            _ => None,
        });
        people.unwrap_or_default().into_iter().map(|it| (it.user_id, it.role, it.typing)).collect()
    }

    fn advance_to(&mut self, mono: u64) {
        let passed = mono.saturating_sub(self.now.mono);
        self.now = Now { mono: self.now.mono + passed, wall: self.now.wall + passed };
    }

    fn deliver_live(&mut self) -> bool {
        let live = std::mem::take(&mut self.server.live);
        let (Some(epoch), Some(topic)) = (self.socket.filter(|_| self.live && self.online), self.topic.clone()) else {
            return false;
        };
        let changes = std::mem::take(&mut self.server.own.live);
        for change in &changes {
            let frame =
                json!([null, null, "realtime:surechat-rows:b1", "postgres_changes", {"data": change, "ids": [1]}]);
            self.engine.handle(self.now, Input::Socket(realtime::Input::Text { epoch, text: frame.to_string() }));
        }
        for (event, payload) in &live {
            let frame =
                json!([null, null, topic, "broadcast", {"type": "broadcast", "event": event, "payload": payload}]);
            self.engine.handle(self.now, Input::Socket(realtime::Input::Text { epoch, text: frame.to_string() }));
        }
        !live.is_empty() || !changes.is_empty()
    }

    fn perform(&mut self, effect: Effect) -> Vec<Input> {
        match effect {
            Effect::OpenStore { .. } => {
                let result = if self.has_database { Ok(()) } else { Err(StoreError::Unavailable("none".into())) };
                vec![Input::StoreOpened { result }]
            }
            Effect::Store { request, transaction }
                if if transaction.is_read_only() { self.holds_reads } else { self.holds_writes } =>
            {
                self.held.push((request, transaction));
                Vec::new()
            }
            Effect::LetTransactionsGo => {
                let reading = self.held.extract_if(.., |(_, transaction)| transaction.reads_first());
                let robbed = |(request, _)| Input::Stored { request, result: Err(StoreError::Robbed) };
                reading.map(robbed).collect()
            }
            Effect::Store { request, transaction } => {
                let deletes = |operation: &Operation| matches!(operation, Operation::DeleteRange { .. });
                let adds = |operation: &Operation| matches!(operation, Operation::Add { .. });
                if transaction.operations.iter().any(deletes) {
                    self.full_until_deleted = false;
                }
                let full = self.full_until_deleted && transaction.operations.iter().any(adds);
                let result = match &self.store_fault {
                    Some(fault) if !transaction.is_read_only() => Err(fault.clone()),
                    _ if self.reads_fail && transaction.is_read_only() => Err(StoreError::Failed("lost".into())),
                    _ if full => Err(StoreError::Full),
                    _ => self.store.run(&transaction),
                };
                self.records_read += result.iter().flatten().map(records_in).sum::<usize>();
                vec![Input::Stored { request, result }]
            }
            Effect::Http { http, .. } if http.keepalive => {
                self.keepalives.push(http);
                Vec::new()
            }
            Effect::Http { request, http } if self.holds_sends && carries_rows(&http) => {
                self.sends.push_back((request, http));
                Vec::new()
            }
            Effect::Http { request, http } if self.holds_syncs && asks_for_rows(&http) => {
                self.syncs.push_back((request, http));
                Vec::new()
            }
            Effect::AbortHttp { request } => {
                self.syncs.retain(|(of, _)| *of != request);
                self.sends.retain(|(of, _)| *of != request);
                Vec::new()
            }
            Effect::Http { request, http } => {
                let result = if self.online {
                    self.server.answer(self.now.mono, &http)
                } else {
                    Err(crate::rest::HttpError::Network)
                };
                if self.live_first {
                    self.deliver_live();
                }
                vec![Input::Http { request, result }]
            }
            Effect::FetchToken { request } => {
                self.tokens_given += u64::from(!self.keeps_token);
                let token = self.signed_in.map(|user| jwt(user, self.tokens_given));
                let result = if self.provider_throws { Err("AuthRetryableFetchError".into()) } else { Ok(token) };
                vec![Input::Token { request, result }]
            }
            Effect::AcquireLock { .. } if self.lock_is_free => vec![Input::LockGranted { exclusive: true }],
            Effect::AcquireLock { if_free: true, .. } => self.ask_lock(LockAsk::IfFree),
            Effect::AcquireLock { .. } => self.ask_lock(LockAsk::Acquire),
            Effect::StealLock { .. } => self.ask_lock(LockAsk::Steal),
            Effect::ReleaseLock => self.ask_lock(LockAsk::Release),
            Effect::Socket(output) => self.socket(output),
            Effect::JoinTabs { .. } => {
                self.in_touch = true;
                Vec::new()
            }
            Effect::LeaveTabs => {
                self.in_touch = false;
                Vec::new()
            }
            Effect::Tell(message) => {
                self.said.extend(Some(message).filter(|_| self.in_touch));
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn ask_lock(&mut self, ask: LockAsk) -> Vec<Input> {
        self.lock_asks.push(ask);
        Vec::new()
    }

    fn socket(&mut self, output: realtime::Output) -> Vec<Input> {
        use realtime::{Input as In, Output};
        let text = |epoch, frame: Value| Input::Socket(In::Text { epoch, text: frame.to_string() });
        match output {
            Output::Connect { epoch, .. } if self.online && self.has_sockets => {
                self.socket = Some(epoch);
                self.side_topics.clear();
                vec![Input::Socket(In::Opened { epoch })]
            }
            Output::Connect { epoch, .. } => vec![Input::Socket(In::Closed { epoch, code: 1006 })],
            Output::SendText { epoch, text: frame } if self.online && self.socket == Some(epoch) => {
                let frame: Value = crate::json::parse(&frame).expect("the machine sends JSON");
                let reply = json!([frame[0], frame[1], frame[2], "phx_reply", {"status": "ok", "response": {"postgres_changes": []}}]);
                if let Some(topic) = frame[2].as_str().and_then(|topic| topic.strip_prefix("realtime:chat:")) {
                    return self.side_frame(topic, &frame, reply).into_iter().map(|frame| text(epoch, frame)).collect();
                }
                if frame[3] != "phx_join" {
                    return vec![text(epoch, reply)];
                }
                if let Some(left) = self.refused_joins.checked_sub(1) {
                    self.refused_joins = left;
                    let reason =
                        json!({"status": "error", "response": {"reason": "MalformedJWT: The token is malformed"}});
                    return vec![text(epoch, json!([frame[0], frame[1], frame[2], "phx_reply", reason]))];
                }
                if frame[4]["config"]["postgres_changes"][0] != Value::Null {
                    let ready = json!([frame[0], null, frame[2], "system", {"extension": "postgres_changes", "status": "ok", "message": "Subscribed to PostgreSQL", "channel": "x"}]);
                    return vec![text(epoch, reply), text(epoch, ready)];
                }
                self.topic = frame[2].as_str().map(str::to_owned);
                let ready = json!([frame[0], null, frame[2], "system", {"extension": "system", "status": "ok", "message": "Replication connection established", "channel": "x"}]);
                vec![text(epoch, reply), text(epoch, ready)]
            }
            Output::Close { epoch } => {
                if self.socket == Some(epoch) {
                    self.socket = None;
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

fn records_in(reply: &Reply) -> usize {
    match reply {
        Reply::Value(record) => record.iter().count(),
        Reply::List(records) => records.len(),
        Reply::Done | Reply::Key(_) => 0,
    }
}

fn asks_for_rows(http: &HttpRequest) -> bool {
    http.url.ends_with("chat_sync") || http.url.ends_with("chat_list")
}

fn carries_rows(http: &HttpRequest) -> bool {
    http.url.ends_with("chat_send") || (!http.url.contains("/rpc/") && !http.body.is_empty())
}

pub fn jwt(user: &str, serial: u64) -> String {
    let claims = json!({"sub": user, "iat": serial, "exp": serial + 3_600}).to_string();
    format!("h.{}.s", Base64UrlUnpadded::encode_string(claims.as_bytes()))
}
