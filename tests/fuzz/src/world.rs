//! One tab around an engine: a database in memory, a server that is kind unless a step says otherwise, and a clock.

use std::collections::VecDeque;

use surechat::{
    engine::{Command, Config, Effect, Engine, Input, Now, Update},
    json::{Value, items, list, number, object, owned, parse, print},
    message::{Envelope, MessageId},
    realtime,
    rest::{HttpError, HttpRequest, HttpResponse},
    store::{MemoryStore, Operation, StoreError, Table, Transaction, is_known, key_of},
};

use super::{ledger::Ledger, replies};

const USER: &str = "u1";
/// `{"sub":"u1","iat":1,"exp":3601}`
const TOKEN: &str = "h.eyJzdWIiOiJ1MSIsImlhdCI6MSwiZXhwIjozNjAxfQ.s";
/// An engine that asks for more than this without any time passing never rests.
const RESTLESS: usize = 2_000;

pub struct World {
    engine: Engine,
    store: MemoryStore,
    now: Now,
    /// Answers to the next requests, in the place of the kind server's.
    pub answers: VecDeque<Result<HttpResponse, HttpError>>,
    pub token: Option<String>,
    /// What happens to writes.
    pub fault: Option<StoreError>,
    wants_lock: bool,
    socket: Option<u32>,
    topic: Option<String>,
    rows: Vec<Value>,
    sent: u8,
    pub ledger: Ledger,
    /// Records of another version.
    strange: Vec<(Table, Value)>,
}

impl World {
    pub fn new() -> Self {
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
            engine: Engine::new(config, 7),
            store: MemoryStore::default(),
            now: Now { mono: 1_000, wall: 1_795_415_400_000 },
            answers: VecDeque::new(),
            token: Some(TOKEN.into()),
            fault: None,
            wants_lock: false,
            socket: None,
            topic: None,
            rows: Vec::new(),
            sent: 0,
            ledger: Ledger::default(),
            strange: Vec::new(),
        }
    }

    /// A record that an earlier page, or a later version, left behind.
    pub fn holds(&mut self, table: Table, record: &Value) {
        if key_of(table, record).is_none() {
            return;
        }
        self.transact(&Transaction::strict(vec![Operation::Put { table, value: record.clone() }]));
    }

    pub fn start(&mut self) {
        for record in self.store.table(Table::Outbox).filter(|record| is_known(record)) {
            if let Some(envelope) = Envelope::from_record(record) {
                self.ledger.found(envelope);
            }
        }
        for table in [Table::Outbox, Table::Conversations] {
            let strange = self.store.table(table).filter(|record| !is_known(record));
            self.strange.extend(strange.map(|record| (table, record.clone())));
        }
        self.command(Command::Start { remembered_user: None, visible: true, online: true });
        self.command(Command::Open { conversation_id: "b1".into() });
    }

    /// No message is lost, and nothing of another version is touched.
    pub fn check(&self) {
        let held: Vec<Envelope> = self.store.table(Table::Outbox).filter_map(Envelope::from_record).collect();
        let lost: Vec<&str> = self.ledger.lost(&held).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        for (table, record) in &self.strange {
            let survives = self.store.table(*table).any(|held| held == record);
            assert!(survives || *table == Table::Conversations, "a record of another version is gone: {record}");
        }
    }

    pub fn next_id(&mut self) -> MessageId {
        self.sent += 1;
        replies::id(0x80 | self.sent)
    }

    pub fn send(&mut self, content: &str, conversation_id: &str) {
        let id = self.next_id();
        self.command(Command::Send {
            op: u32::from(self.sent),
            id,
            conversation_id: conversation_id.to_owned(),
            content: content.to_owned(),
            message_type: "text".into(),
            metadata: surechat::json::empty_object(),
        });
    }

    /// An act of a person on the `n`th message that was sent here, or on the one of this id: from here on it may go.
    pub fn give_up(&mut self, which: &Value, act: impl FnOnce(String, MessageId) -> Command) {
        let id = match which {
            Value::String(id) => MessageId::parse(id),
            n => n.as_u64().and_then(|n| u8::try_from(n).ok()).map(|n| replies::id(0x80 | n)),
        };
        let Some(id) = id else { return };
        self.ledger.gave_up(&id);
        self.command(act("b1".into(), id));
    }

    pub fn command(&mut self, command: Command) {
        self.feed(Input::Command(command));
    }

    pub fn grant_lock(&mut self) {
        if std::mem::take(&mut self.wants_lock) {
            self.feed(Input::LockGranted { exclusive: true });
        }
    }

    pub fn transact(&mut self, transaction: &Transaction) {
        let _ = self.store.run(transaction);
    }

    pub fn cut(&mut self, code: u16) {
        if let Some(epoch) = self.socket.take() {
            self.feed(Input::Socket(realtime::Input::Closed { epoch, code }));
        }
    }

    pub fn broadcast(&mut self, event: &str, payload: &Value) {
        let body = object(vec![("type", "broadcast".into()), ("event", event.into()), ("payload", payload.clone())]);
        let topic = self.topic.as_deref().into();
        self.frame(print(&vec![Value::Null, Value::Null, topic, "broadcast".into(), body].into()));
    }

    pub fn frame(&mut self, text: String) {
        let Some(epoch) = self.socket else { return };
        if let Some(said) = parse(&text) {
            self.ledger.heard(&said, USER);
        }
        self.feed(Input::Socket(realtime::Input::Text { epoch, text }));
    }

    pub fn wait(&mut self, ms: u64) {
        let end = self.now.mono + ms;
        let mut calls = 0;
        while let Some((at, reason)) = self.engine.next_deadline().filter(|(at, _)| *at <= end) {
            calls = if at > self.now.mono { 0 } else { calls + 1 };
            assert!(calls < 64, "it never rests: {reason:?}");
            self.advance_to(at);
            self.feed(Input::Timer);
        }
        self.advance_to(end);
    }

    pub fn feed(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        let mut handled = 0;
        while let Some(input) = inputs.pop_front() {
            handled += 1;
            assert!(handled < RESTLESS, "it never rests");
            self.engine.handle(self.now, input);
            while let Some(effect) = self.engine.poll_effect() {
                self.perform(effect, &mut inputs);
            }
            while let Some(update) = self.engine.poll_update() {
                if let Update::Done { result, .. } = update
                    && let Some(message) = result.get("message")
                    && let (Some(id), Some(content)) = (owned(message, "id"), owned(message, "content"))
                {
                    self.ledger.accepted(id, None, content);
                }
            }
        }
    }

    fn advance_to(&mut self, mono: u64) {
        let passed = mono.saturating_sub(self.now.mono);
        self.now = Now { mono: self.now.mono + passed, wall: self.now.wall + passed };
    }

    fn perform(&mut self, effect: Effect, inputs: &mut VecDeque<Input>) {
        match effect {
            Effect::OpenStore { .. } => inputs.push_back(Input::StoreOpened { result: Ok(()) }),
            Effect::Store { request, transaction } => {
                let fault = self.fault.clone().filter(|_| !transaction.is_read_only());
                let result = fault.map_or_else(|| self.store.run(&transaction), Err);
                inputs.push_back(Input::Stored { request, result });
            }
            Effect::Http { request, http } => {
                let result = self.answers.pop_front().unwrap_or_else(|| Ok(self.answer(&http)));
                if let Ok(response) = &result
                    && (200..300).contains(&response.status)
                    && let Some(said) = parse(&response.body)
                {
                    self.ledger.heard(&said, USER);
                }
                inputs.push_back(Input::Http { request, result });
            }
            Effect::FetchToken { request } => {
                inputs.push_back(Input::Token { request, result: Ok(self.token.clone()) });
            }
            Effect::AcquireLock { .. } => {
                self.wants_lock = false;
                inputs.push_back(Input::LockGranted { exclusive: true });
            }
            Effect::Socket(output) => self.on_socket(output, inputs),
            _ => {}
        }
    }

    fn on_socket(&mut self, output: realtime::Output, inputs: &mut VecDeque<Input>) {
        use realtime::{Input as In, Output};
        match output {
            Output::Connect { epoch, .. } => {
                self.socket = Some(epoch);
                inputs.push_back(Input::Socket(In::Opened { epoch }));
            }
            Output::SendText { epoch, text } if self.socket == Some(epoch) => {
                let frame = parse(&text).expect("the machine sends JSON");
                let parts = |event: &str, reference: Value, body: &str| {
                    let body = parse(body).unwrap_or_default();
                    print(&vec![frame[0].clone(), reference, frame[2].clone(), event.into(), body].into())
                };
                let reply = parts("phx_reply", frame[1].clone(), r#"{"status":"ok","response":{}}"#);
                inputs.push_back(Input::Socket(In::Text { epoch, text: reply }));
                if frame[3] == "phx_join" {
                    self.topic = frame[2].as_str().map(str::to_owned);
                    let ready =
                        r#"{"extension":"system","status":"ok","message":"Replication connection established"}"#;
                    let text = parts("system", Value::Null, ready);
                    inputs.push_back(Input::Socket(In::Text { epoch, text }));
                }
            }
            Output::Close { epoch } if self.socket == Some(epoch) => self.socket = None,
            _ => {}
        }
    }

    /// The kind server: it has one conversation, and takes everything.
    fn answer(&mut self, http: &HttpRequest) -> HttpResponse {
        let body = parse(&http.body).expect("the engine sends JSON");
        let answer = match http.url.rsplit('/').next() {
            Some("chat_send") => items(&body, "batch").iter().map(|row| self.take(row)).collect::<Vec<_>>().into(),
            Some("chat_sync") => {
                let cursors = body["cursors"].as_object().map(|cursors| cursors.fields()).unwrap_or_default();
                list(cursors.iter().map(|(id, cursor)| self.page(id, number(cursor, "seq").unwrap_or(0))))
            }
            _ => list(items(&body, "acks").iter().map(|ack| {
                object(vec![
                    ("conversation_id", ack["conversation_id"].clone()),
                    ("delivered_seq", ack["delivered"].clone()),
                    ("read_seq", ack["read"].clone()),
                ])
            })),
        };
        HttpResponse { status: 200, retry_after_ms: None, date_ms: None, body: print(&answer) }
    }

    fn take(&mut self, row: &Value) -> Value {
        let mut stored = row.clone();
        let known = self.rows.iter().find(|held| held["id"] == row["id"]).cloned();
        let mut answer = known.clone().unwrap_or_else(|| {
            let of_its_conversation = self.rows.iter().filter(|held| held["conversation_id"] == row["conversation_id"]);
            stored["seq"] = (of_its_conversation.count() + 1).into();
            stored["sender_id"] = USER.into();
            stored["sender_role"] = "client".into();
            stored["created_at"] = "2026-11-23T06:30:00+00:00".into();
            self.rows.push(stored.clone());
            stored
        });
        answer["status"] = if known.is_some() { "duplicate" } else { "stored" }.into();
        answer
    }

    fn page(&self, id: &str, from: u64) -> Value {
        let rows: Vec<Value> = self.rows.iter().filter(|row| row["conversation_id"] == id).cloned().collect();
        let last = rows.len();
        object(vec![
            ("conversation_id", id.into()),
            ("status", "ok".into()),
            ("incarnation", "i1".into()),
            ("last_seq", last.into()),
            ("through_seq", last.into()),
            ("first_seq", 1.into()),
            ("rows", list(rows.into_iter().filter(|row| number(row, "seq") > Some(from)))),
            (
                "members",
                parse(r#"[{"user_id":"u1","role":"client","delivered_seq":0,"read_seq":0}]"#).unwrap_or_default(),
            ),
        ])
    }
}
