//! A stage on which nothing happens by chance: the pieces of the simulation, and a hand that holds back what the play
//! wants held back. Everything else is done at once, in order.

use std::collections::VecDeque;

use simulation::{
    disk::{Database, Disk},
    locks::{Claim, LockNews, Locks},
    screen::{Screen, View},
    server::{Rules, Server, function},
};
use surechat::{
    engine::{Command, Config, Effect, Engine, Input, Now, PageEvent, RequestId},
    json::{Value, empty_object, list, object, parse, print, text},
    message::MessageId,
    realtime::{self, Output},
    rest::{HttpError, HttpRequest},
    store::{Operation, StoreError, Transaction},
};

pub const ROOM: &str = "b1";
pub const OPERATOR: &str = "operator-1";
pub const COLLEAGUE: &str = "operator-2";
pub const CLIENT: &str = "client-1";
const DAWN: u64 = 1_795_415_400_000;
/// A leader that is silent is robbed by then: two beats, three seconds, and a little more.
pub const ROBBED_BY: u64 = 15_000;

pub struct Stage {
    pub now: u64,
    pub disk: Disk,
    pub server: Server,
    pub rules: Rules,
    /// Whose token the app gives.
    pub session: Option<&'static str>,
    pub tabs: Vec<Tab>,
    /// Requests that are held on their way to the server.
    pub wire: Vec<Wire>,
    /// Everything that was sent: the function, whose token went with it, and the body.
    pub sent: Vec<(String, String, Value)>,
    /// What the server sends live gets lost.
    pub live_is_lost: bool,
    tokens: Vec<(&'static str, String)>,
    locks: Locks,
    inputs: VecDeque<(usize, Input)>,
    next_id: u32,
}

pub struct Tab {
    pub engine: Engine,
    pub screen: Screen,
    pub alive: bool,
    /// What happens to it waits until it wakes.
    pub asleep: bool,
    /// It hears nothing of what other tabs say, and nobody hears it.
    pub deaf: bool,
    /// It hears late that its lock was stolen.
    pub unaware: bool,
    /// Requests with rows are held on their way.
    pub holds_sends: bool,
    /// Requests for rows are lost.
    pub loses_syncs: bool,
    /// Transactions that add or change something are held.
    pub holds_writes: bool,
    /// Its database does not open: another tab is in the way, and no event says so.
    pub holds_open: bool,
    pub online: bool,
    pub held: VecDeque<(RequestId, Transaction)>,
    pub tokens_asked: usize,
    inbox: VecDeque<Input>,
    database: Option<String>,
    channel: Option<String>,
    claim: Option<Claim>,
    robbed: bool,
    /// Its epoch, and the topics that were joined.
    socket: Option<(u32, Vec<String>)>,
    next_op: u32,
}

#[derive(Clone)]
pub struct Wire {
    pub tab: usize,
    request: RequestId,
    pub http: HttpRequest,
}

impl Stage {
    /// One browser of the operator with so many tabs on the same conversation. The first one leads.
    pub fn with_tabs(count: usize) -> Self {
        let mut server = Server::default();
        server.ensure(ROOM, &[(OPERATOR, "operator"), (CLIENT, "client")]);
        let mut stage = Self {
            now: 1_000,
            disk: Disk::default(),
            server,
            rules: Rules::default(),
            session: Some(OPERATOR),
            tabs: Vec::new(),
            wire: Vec::new(),
            sent: Vec::new(),
            live_is_lost: false,
            tokens: Vec::new(),
            locks: Locks::default(),
            inputs: VecDeque::new(),
            next_id: 0,
        };
        for _ in 0..count {
            stage.open_tab();
        }
        stage.run_for(2_000);
        stage
    }

    pub fn open_tab(&mut self) -> usize {
        let tab = self.seat_tab();
        self.start_tab(tab);
        tab
    }

    /// A tab that does nothing yet.
    pub fn seat_tab(&mut self) -> usize {
        self.tabs.push(Tab::new(self.tabs.len()));
        self.tabs.len() - 1
    }

    pub fn start_tab(&mut self, tab: usize) {
        let remembered_user = self.disk.remembered.clone();
        self.command(tab, Command::Start { remembered_user, visible: true, online: true });
        self.show(tab, ROOM);
    }

    // ---- what people do

    pub fn show(&mut self, tab: usize, conversation: &str) {
        self.tabs[tab].screen.open(conversation);
        self.command(tab, Command::Open { conversation_id: conversation.into() });
    }

    pub fn send(&mut self, tab: usize, content: &str) -> MessageId {
        self.send_to(tab, ROOM, content)
    }

    pub fn send_to(&mut self, tab: usize, conversation: &str, content: &str) -> MessageId {
        let (op, id) = (self.op(tab), self.id());
        let command = Command::Send {
            op,
            id: id.clone(),
            conversation_id: conversation.into(),
            content: content.into(),
            message_type: "text".into(),
            metadata: empty_object(),
        };
        self.command(tab, command);
        id
    }

    /// Answers the number of the call.
    pub fn cancel(&mut self, tab: usize, id: &MessageId) -> u32 {
        let op = self.op(tab);
        self.command(tab, Command::Cancel { op, conversation_id: ROOM.into(), id: id.clone() });
        op
    }

    pub fn edit(&mut self, tab: usize, id: &MessageId, content: &str) -> u32 {
        let (op, edit_id) = (self.op(tab), self.id());
        let (conversation_id, content) = (ROOM.to_owned(), content.to_owned());
        self.command(tab, Command::Edit { op, conversation_id, id: id.clone(), edit_id, content });
        op
    }

    pub fn discard(&mut self, tab: usize, id: &MessageId) -> u32 {
        let op = self.op(tab);
        self.command(tab, Command::Discard { op, conversation_id: ROOM.into(), id: id.clone() });
        op
    }

    /// The client writes, from somewhere else.
    pub fn client_writes(&mut self, content: &str) {
        let id = self.id();
        self.server.post(self.now, CLIENT, ROOM, id.as_str(), content);
        self.spread_live();
        self.run();
    }

    pub fn is_done(&self, tab: usize, op: u32) -> bool {
        matches!(self.tabs[tab].screen.answers.get(&op), Some(Ok(_)))
    }

    pub fn failure_of(&self, tab: usize, op: u32) -> Option<&str> {
        let answer = self.tabs[tab].screen.answers.get(&op)?;
        answer.as_ref().err().map(|problem| problem.code.as_str())
    }

    // ---- what happens

    pub fn page(&mut self, tab: usize, event: PageEvent) {
        self.feed(tab, Input::Page(event));
    }

    pub fn set_online(&mut self, tab: usize, online: bool) {
        self.tabs[tab].online = online;
        if !online {
            self.tabs[tab].socket = None;
        }
        self.page(tab, if online { PageEvent::Online } else { PageEvent::Offline });
    }

    /// Frozen, or stuck: whoever is to be told tells it before.
    pub fn sleep(&mut self, tab: usize) {
        self.tabs[tab].asleep = true;
    }

    /// Everything that came meanwhile reaches it, in the order in which it came.
    pub fn wake(&mut self, tab: usize) {
        self.tabs[tab].asleep = false;
        let inbox = std::mem::take(&mut self.tabs[tab].inbox);
        self.inputs.extend(inbox.into_iter().map(|input| (tab, input)));
        self.run();
    }

    /// It hears that it was robbed.
    pub fn tell_robbed(&mut self, tab: usize) {
        self.tabs[tab].unaware = false;
        if std::mem::take(&mut self.tabs[tab].robbed) {
            self.feed(tab, Input::LockLost);
        }
    }

    pub fn crash(&mut self, tab: usize) {
        self.tabs[tab].alive = false;
        self.wire.retain(|wire| wire.tab != tab);
        let news = self.locks.release(tab);
        self.spread_lock_news(news);
        self.run();
    }

    /// The nth request that is held reaches the server; its answer goes back.
    pub fn arrive(&mut self, place: usize) {
        let wire = self.wire.remove(place);
        let result = Ok(self.server.answer(self.now, &wire.http, &self.rules));
        self.spread_live();
        self.feed(wire.tab, Input::Http { request: wire.request, result });
    }

    /// The page hears nothing of the nth request any more; here is what is still on its way.
    pub fn give_up(&mut self, place: usize) -> HttpRequest {
        let wire = self.wire.remove(place);
        self.feed(wire.tab, Input::Http { request: wire.request, result: Err(HttpError::Timeout) });
        wire.http
    }

    /// A request that nobody waits for reaches the server.
    pub fn arrive_late(&mut self, http: &HttpRequest) -> String {
        let answer = self.server.answer(self.now, http, &self.rules);
        self.spread_live();
        self.run();
        answer.body
    }

    /// Nothing is held any more.
    pub fn let_go(&mut self) {
        for tab in 0..self.tabs.len() {
            self.tabs[tab].holds_sends = false;
            self.release(tab, VecDeque::new());
        }
        while !self.wire.is_empty() {
            self.arrive(0);
        }
    }

    /// The transactions that are held run, with these fates and then well.
    pub fn release(&mut self, tab: usize, mut fates: VecDeque<StoreError>) {
        self.tabs[tab].holds_writes = false;
        while let Some((request, transaction)) = self.tabs[tab].held.pop_front() {
            let result = match fates.pop_front() {
                Some(fate) => Err(fate),
                None => self.run_transaction(tab, &transaction),
            };
            self.tabs[tab].holds_writes = !fates.is_empty();
            self.feed(tab, Input::Stored { request, result });
        }
    }

    /// Let time pass, from deadline to deadline.
    pub fn run_for(&mut self, ms: u64) {
        let end = self.now + ms;
        for _ in 0..100_000 {
            let awake = self.tabs.iter().enumerate().filter(|(_, tab)| tab.alive && !tab.asleep);
            let due = awake.filter_map(|(nth, tab)| Some((tab.engine.next_deadline()?.0, nth))).min();
            let Some((at, tab)) = due.filter(|(at, _)| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            self.feed(tab, Input::Timer);
        }
        let due: Vec<_> = self.tabs.iter().map(|tab| tab.engine.next_deadline()).collect();
        panic!("the tabs never rest: {due:?} at {}", self.now);
    }

    // ---- what is there

    /// What everybody sees of the conversation, in order.
    pub fn live(&self) -> Vec<&str> {
        let rows = self.server.conversation(ROOM).map(|held| held.rows.as_slice()).unwrap_or_default();
        let shown = rows.iter().filter(|row| row.kind == "message" && !row.deleted);
        shown.map(|row| row.content.as_str()).collect()
    }

    /// What a tab shows: contents and ticks, in order.
    pub fn shown(&self, tab: usize) -> Vec<(&str, &str)> {
        let view = self.tabs[tab].screen.view(ROOM).map(|view: &View| &view.rows);
        let words = |row| (text(row, "content").unwrap_or("-"), text(row, "delivery_status").unwrap_or("-"));
        view.into_iter().flatten().map(|(_, row)| words(row)).collect()
    }

    pub fn database(&self) -> &Database {
        self.disk.databases().next().expect("a database").1
    }

    pub fn outbox(&self) -> Vec<&str> {
        self.database().outbox().filter_map(|record| text(record, "content")).collect()
    }

    /// What a request on its way carries.
    pub fn carries(&self, place: usize) -> Vec<String> {
        contents(&self.wire[place].http)
    }

    pub fn leads(&self, tab: usize) -> bool {
        self.locks.holder(&self.name()) == Some(tab)
    }

    pub fn count(&self, of: &str) -> usize {
        self.sent.iter().filter(|(function, ..)| function == of).count()
    }

    pub fn raise_generation(&mut self) {
        let raise = Transaction::strict(vec![Operation::RaiseGeneration { first: 1 }]);
        let name = self.name();
        self.disk.open(&name).run(&raise).0.expect("it is raised");
    }

    /// Of the database, the lock and the channel.
    fn name(&self) -> String {
        self.tabs.iter().find_map(|tab| tab.database.clone()).unwrap_or_default()
    }

    // ---- the machinery

    fn op(&mut self, tab: usize) -> u32 {
        self.tabs[tab].next_op += 1;
        self.tabs[tab].next_op
    }

    fn id(&mut self) -> MessageId {
        self.next_id += 1;
        let mut entropy = [0; 10];
        entropy[6..].copy_from_slice(&self.next_id.to_be_bytes());
        MessageId::v7(DAWN + self.now, entropy)
    }

    pub fn command(&mut self, tab: usize, command: Command) {
        self.feed(tab, Input::Command(command));
    }

    pub fn feed(&mut self, tab: usize, input: Input) {
        self.inputs.push_back((tab, input));
        self.run();
    }

    fn run(&mut self) {
        for _ in 0..100_000 {
            let Some((nth, input)) = self.inputs.pop_front() else { return };
            let now = Now { mono: self.now, wall: DAWN + self.now };
            let tab = &mut self.tabs[nth];
            if !tab.alive {
                continue;
            }
            if tab.asleep {
                tab.inbox.push_back(input);
                continue;
            }
            tab.engine.handle(now, input);
            while let Some(update) = self.tabs[nth].engine.poll_update() {
                self.tabs[nth].screen.take(update).expect("what is promised to observers");
            }
            while let Some(effect) = self.tabs[nth].engine.poll_effect() {
                self.perform(nth, effect);
            }
        }
        panic!("the tabs never rest");
    }

    fn perform(&mut self, nth: usize, effect: Effect) {
        let tab = &mut self.tabs[nth];
        match effect {
            Effect::OpenStore { name } if !tab.holds_open => {
                self.disk.open(&name);
                tab.database = Some(name);
                self.inputs.push_back((nth, Input::StoreOpened { result: Ok(()) }));
            }
            Effect::Store { request, transaction } if tab.holds_writes && !transaction.is_read_only() => {
                tab.held.push_back((request, transaction));
            }
            Effect::Store { request, transaction } => {
                let result = self.run_transaction(nth, &transaction);
                self.inputs.push_back((nth, Input::Stored { request, result }));
            }
            Effect::LetTransactionsGo => {
                let (reading, kept) = tab.held.drain(..).partition(|(_, transaction)| transaction.reads_first());
                tab.held = kept;
                let reading: VecDeque<(RequestId, Transaction)> = reading;
                for (request, _) in reading {
                    self.inputs.push_back((nth, Input::Stored { request, result: Err(StoreError::Robbed) }));
                }
            }
            Effect::Http { request, http } => self.post(nth, request, http),
            Effect::AbortHttp { request } => self.wire.retain(|wire| (wire.tab, wire.request) != (nth, request)),
            Effect::FetchToken { request } => {
                tab.tokens_asked += 1;
                let token = self.session.map(|user| self.token(user));
                self.inputs.push_back((nth, Input::Token { request, result: Ok(token) }));
            }
            Effect::AcquireLock { name, .. } => {
                let news = self.locks.release(nth);
                self.spread_lock_news(news);
                let (claim, news) = self.locks.request(&name, nth);
                self.tabs[nth].claim = Some(claim);
                self.spread_lock_news(news);
            }
            Effect::StealLock { name } => {
                let news = self.locks.release(nth);
                self.spread_lock_news(news);
                let (claim, news) = self.locks.steal(&name, nth);
                self.tabs[nth].claim = Some(claim);
                self.spread_lock_news(news);
            }
            Effect::ReleaseLock => {
                tab.claim = None;
                let news = self.locks.release(nth);
                self.spread_lock_news(news);
            }
            Effect::JoinTabs { name } => tab.channel = Some(name),
            Effect::LeaveTabs => tab.channel = None,
            Effect::Tell(message) if !tab.deaf && tab.channel.is_some() => {
                let channel = tab.channel.clone();
                let hears = |tab: &Tab| !tab.deaf && tab.channel == channel;
                for other in (0..self.tabs.len()).filter(|other| *other != nth && hears(&self.tabs[*other])) {
                    self.inputs.push_back((other, Input::Heard(message.clone())));
                }
            }
            Effect::RememberUser { user_id, .. } => self.disk.remembered = Some(user_id),
            Effect::Socket(output) => self.socket(nth, output),
            _ => {}
        }
    }

    pub fn run_transaction(&mut self, tab: usize, transaction: &Transaction) -> surechat::store::StoreResult {
        let name = self.tabs[tab].database.clone().expect("an open database");
        self.disk.open(&name).run(transaction).0
    }

    fn token(&mut self, user: &'static str) -> String {
        if let Some((_, jwt)) = self.tokens.iter().find(|(of, _)| *of == user) {
            return jwt.clone();
        }
        let jwt = self.server.auth.issue(user, self.now, 1_000_000_000);
        self.tokens.push((user, jwt.clone()));
        jwt
    }

    fn post(&mut self, nth: usize, request: RequestId, http: HttpRequest) {
        let function = function(&http).to_owned();
        let token = simulation::server::bearer(&http).and_then(simulation::token::subject).unwrap_or_default();
        self.sent.push((function.clone(), token, parse(&http.body).unwrap_or_default()));
        let tab = &self.tabs[nth];
        let lost = !tab.online || (tab.loses_syncs && function == "chat_sync");
        if lost {
            self.inputs.push_back((nth, Input::Http { request, result: Err(HttpError::Network) }));
        } else if tab.holds_sends && function == "chat_send" {
            self.wire.push(Wire { tab: nth, request, http });
        } else {
            let result = Ok(self.server.answer(self.now, &http, &self.rules));
            self.spread_live();
            self.inputs.push_back((nth, Input::Http { request, result }));
        }
    }

    fn spread_lock_news(&mut self, news: impl IntoIterator<Item = LockNews>) {
        for news in news {
            match news {
                LockNews::Granted(tab, claim) if self.tabs[tab].claim == Some(claim) => {
                    self.inputs.push_back((tab, Input::LockGranted { exclusive: true }));
                }
                LockNews::Granted(..) => {}
                LockNews::Robbed(tab, _) if self.tabs[tab].unaware => self.tabs[tab].robbed = true,
                LockNews::Robbed(tab, _) => self.inputs.push_back((tab, Input::LockLost)),
            }
        }
    }

    fn socket(&mut self, nth: usize, output: Output) {
        let online = self.tabs[nth].online;
        match output {
            Output::Connect { epoch, .. } if online => {
                self.tabs[nth].socket = Some((epoch, Vec::new()));
                self.hear_socket(nth, realtime::Input::Opened { epoch });
            }
            Output::Connect { epoch, .. } => self.hear_socket(nth, realtime::Input::Closed { epoch, code: 1006 }),
            Output::SendText { epoch, text: frame }
                if self.tabs[nth].socket.as_ref().is_some_and(|it| it.0 == epoch) =>
            {
                let frame = parse(&frame).expect("frames are JSON");
                let reply = object(vec![
                    ("status", "ok".into()),
                    ("response", object(vec![("postgres_changes", list([].into_iter()))])),
                ]);
                self.frame(nth, [frame[0].clone(), frame[1].clone(), frame[2].clone(), "phx_reply".into(), reply]);
                if frame[3] == "phx_join" {
                    let user = text(&frame[4], "access_token").and_then(simulation::token::subject).unwrap_or_default();
                    self.sent.push(("phx_join".into(), user, frame[2].clone()));
                    if let (Some((_, joined)), Some(topic)) = (&mut self.tabs[nth].socket, frame[2].as_str()) {
                        joined.push(topic.to_owned());
                    }
                    let ready = object(vec![
                        ("extension", "system".into()),
                        ("status", "ok".into()),
                        ("message", "Replication connection established".into()),
                        ("channel", "x".into()),
                    ]);
                    self.frame(nth, [frame[0].clone(), Value::Null, frame[2].clone(), "system".into(), ready]);
                }
            }
            Output::Close { epoch } if self.tabs[nth].socket.as_ref().is_some_and(|it| it.0 == epoch) => {
                self.tabs[nth].socket = None;
            }
            _ => {}
        }
    }

    fn frame(&mut self, nth: usize, frame: [Value; 5]) {
        let Some((epoch, _)) = self.tabs[nth].socket else { return };
        let frame = print(&list(frame.into_iter()));
        self.hear_socket(nth, realtime::Input::Text { epoch, text: frame });
    }

    fn hear_socket(&mut self, nth: usize, input: realtime::Input) {
        self.inputs.push_back((nth, Input::Socket(input)));
    }

    fn spread_live(&mut self) {
        for live in std::mem::take(&mut self.server.live) {
            let topic = format!("realtime:chat-user:{}", live.user);
            let joined = |tab: &Tab| tab.socket.as_ref().is_some_and(|(_, joined)| joined.contains(&topic));
            for nth in 0..self.tabs.len() {
                if !self.live_is_lost && joined(&self.tabs[nth]) {
                    let payload = object(vec![
                        ("type", "broadcast".into()),
                        ("event", live.event.into()),
                        ("payload", live.payload.clone()),
                    ]);
                    self.frame(nth, [Value::Null, Value::Null, topic.as_str().into(), "broadcast".into(), payload]);
                }
            }
        }
    }
}

impl Tab {
    fn new(nth: usize) -> Self {
        let config = Config {
            url: "https://project.test".into(),
            api_key: "key".into(),
            user_id: None,
            sender_role: None,
            resume_on_reconnect: true,
            auto_read: true,
            ticks_of_all: false,
            keep_messages: 50_000,
            source: Default::default(),
            request_timeout_ms: 10_000,
            drain_only: false,
        };
        Self {
            engine: Engine::new(config, nth as u64 + 1),
            screen: Screen::default(),
            alive: true,
            asleep: false,
            deaf: false,
            unaware: false,
            holds_sends: false,
            loses_syncs: false,
            holds_writes: false,
            holds_open: false,
            online: true,
            held: VecDeque::new(),
            tokens_asked: 0,
            inbox: VecDeque::new(),
            database: None,
            channel: None,
            claim: None,
            robbed: false,
            socket: None,
            next_op: 0,
        }
    }
}

/// Of the rows of a request.
pub fn contents(http: &HttpRequest) -> Vec<String> {
    let body = parse(&http.body).unwrap_or_default();
    let rows = surechat::json::items(&body, "batch");
    rows.iter().filter_map(|row| text(row, "content").map(str::to_owned)).collect()
}
