//! A world at random, by a seed: browser profiles with their tabs, one server, and weather.

mod checks;
mod effects;
mod end;
mod history;
mod live;
mod mishaps;
mod network;
mod people;
mod presence;
mod truth;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use fastrand::Rng;
use surechat::{
    engine::{Config, Effect, Input, Now, PageEvent, RequestId, Update},
    json::{number, text},
    rest::{HttpError, HttpResponse},
    store::{StoreError, Transaction},
};

use crate::{
    Broken, TabId, Time, broken,
    disk::Disk,
    faults::{Fault, Weather},
    locks::{Claim, Locks},
    reference::Reference,
    screen::Seen,
    server::{Conversation, Live, Server},
    tab::{State, Tab, Timer, timer_input},
};
use live::Socket;
use network::Exchange;
use presence::Room;
use truth::Noticed;
pub use truth::PERIOD_MS;

/// The wall clock's time when the world begins.
const DAWN: u64 = 1_795_415_400_000;
/// So many steps within one virtual second are a loop that never rests.
const STEPS_PER_SECOND: u32 = 4_000;
const LONGEST_TRACE_LINE: usize = 1_500;

pub struct World {
    pub now: Time,
    rng: Rng,
    pub weather: Weather,
    queue: BinaryHeap<Reverse<Scheduled>>,
    last_event: u64,
    pub server: Server,
    profiles: Vec<Profile>,
    disks: Vec<Disk>,
    locks: Vec<Locks>,
    tabs: Vec<Option<Box<Tab>>>,
    exchanges: BTreeMap<u64, Exchange>,
    last_exchange: u64,
    sockets: BTreeMap<(TabId, u32), Socket>,
    /// When the last word of one tab reaches another.
    said: BTreeMap<(TabId, TabId), Time>,
    /// The topics of conversations.
    rooms: BTreeMap<String, Room>,
    /// Until then nothing that is committed is told live.
    silent_until: Time,
    reference: Reference,
    /// Older copies of conversations, for a restore.
    copies: Vec<(String, Conversation)>,
    restored: BTreeSet<String>,
    /// Messages whose tombstone was refused by something on its way: it is dropped, and they may stay.
    spared: BTreeSet<String>,
    /// Since when nothing goes wrong any more, and the same people are signed in.
    kind_since: Time,
    noticed: BTreeMap<String, Noticed>,
    /// For so long a screen differed from the server, since the world was kind and the last change was made.
    pub slowest: Time,
    /// Requests of each tab since the world came to rest.
    idle_requests: BTreeMap<TabId, u32>,
    /// Those among them that ask for a page of history: of each conversation there are only so many.
    idle_pages: BTreeSet<String>,
    next_id: u32,
    last_timer: u64,
    pub steps: u64,
    second: (Time, u32),
    /// Of everything that happened.
    pub trace: u64,
    pub prints: bool,
}

/// One browser profile: a disk, a session and clocks that its tabs share.
struct Profile {
    users: Vec<&'static str>,
    signed_in: Option<&'static str>,
    token: Option<String>,
    old_tokens: Vec<String>,
    lifetime_ms: u64,
    online: bool,
    /// Since when, and whether its monotonic clock stands meanwhile.
    asleep: Option<(Time, bool)>,
    mono_shift: i64,
    wall_shift: i64,
    locks_exist: bool,
    names_user: bool,
    resumes: bool,
    /// Messages in its cache.
    keeps: u64,
}

enum Event {
    Act,
    Mishap,
    Feed { tab: TabId, input: Box<Input> },
    Timer { tab: TabId, serial: u64 },
    Commit { tab: TabId, request: RequestId, transaction: Box<Transaction> },
    Open { tab: TabId, name: String },
    Arrival { exchange: u64, repeated: bool },
    Answer { exchange: u64, result: Result<HttpResponse, HttpError> },
    Lock { tab: TabId, claim: Claim, granted: bool },
    Pushed { tab: TabId, epoch: u32, text: String },
    Told(Box<Live>),
    TokenEnds { tab: TabId, epoch: u32, topic: String },
    Subscribed { tab: TabId, epoch: u32, topic: String },
    Thaw { tab: TabId, stillness: u64 },
    Wake { profile: usize },
    Online { profile: usize },
    SignIn { profile: usize, user: &'static str },
    NewTab { profile: usize },
    Readmit { conversation: String, user: &'static str, role: &'static str },
}

struct Scheduled {
    at: Time,
    serial: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.serial == other.serial
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.serial).cmp(&(other.at, other.serial))
    }
}

type Outcome = Result<(), Broken>;

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let weather = Weather::draw(&mut rng);
        let mut world = Self {
            now: 1_000,
            rng,
            weather,
            queue: BinaryHeap::new(),
            last_event: 0,
            server: Server::default(),
            profiles: Vec::new(),
            disks: Vec::new(),
            locks: Vec::new(),
            tabs: Vec::new(),
            exchanges: BTreeMap::new(),
            last_exchange: 0,
            sockets: BTreeMap::new(),
            said: BTreeMap::new(),
            rooms: BTreeMap::new(),
            silent_until: 0,
            reference: Reference::default(),
            copies: Vec::new(),
            restored: BTreeSet::new(),
            spared: BTreeSet::new(),
            kind_since: 0,
            noticed: BTreeMap::new(),
            slowest: 0,
            idle_requests: BTreeMap::new(),
            idle_pages: BTreeSet::new(),
            next_id: 0,
            last_timer: 0,
            steps: 0,
            second: (0, 0),
            trace: 0xcbf2_9ce4_8422_2325,
            prints: false,
        };
        world.populate();
        world
    }

    /// From the first send to the last check.
    pub fn run(&mut self) -> Outcome {
        self.begin()?;
        let end = self.now + self.rng.u64(40_000..160_000);
        self.run_until(end)?;
        self.end()
    }

    fn run_until(&mut self, end: Time) -> Outcome {
        while let Some(Reverse(next)) = self.queue.peek() {
            if next.at > end {
                break;
            }
            let Some(Reverse(Scheduled { at, event, .. })) = self.queue.pop() else { break };
            self.now = self.now.max(at);
            self.step(event)?;
        }
        self.now = end;
        Ok(())
    }

    fn step(&mut self, event: Event) -> Outcome {
        self.steps += 1;
        self.rest_assured()?;
        self.see_everybody_off();
        match event {
            Event::Act => self.act(),
            Event::Mishap => self.mishap(),
            Event::Feed { tab, input } => self.feed(tab, *input),
            Event::Timer { tab, serial } => self.timer(tab, serial),
            Event::Commit { tab, request, transaction } => self.commit(tab, request, &transaction),
            Event::Open { tab, name } => self.opened(tab, name),
            Event::Arrival { exchange, repeated } => self.arrived(exchange, repeated),
            Event::Answer { exchange, result } => self.answered(exchange, result),
            Event::Lock { tab, claim, granted } => self.lock_news(tab, claim, granted),
            Event::Pushed { tab, epoch, text } => self.pushed(tab, epoch, &text),
            Event::Told(live) => self.told(&live),
            Event::TokenEnds { tab, epoch, topic } => self.token_ends(tab, epoch, topic),
            Event::Subscribed { tab, epoch, topic } => self.subscribed(tab, epoch, &topic),
            Event::Thaw { tab, stillness } => self.thaw(tab, stillness),
            Event::Wake { profile } => self.wake(profile),
            Event::Online { profile } => self.set_online(profile, true),
            Event::SignIn { profile, user } => {
                if !self.weather.kind {
                    self.sign_in(profile, Some(user));
                }
                Ok(())
            }
            Event::NewTab { .. } if self.weather.kind => Ok(()),
            Event::NewTab { profile } if self.profiles[profile].asleep.is_some() => {
                self.later(1_000, Event::NewTab { profile });
                Ok(())
            }
            Event::NewTab { profile } => self.new_tab(profile),
            Event::Readmit { conversation, user, role } => {
                self.server.ensure(&conversation, &[(user, role)]);
                self.spread_live();
                Ok(())
            }
        }
    }

    fn rest_assured(&mut self) -> Outcome {
        if self.second.0 != self.now / 1_000 {
            self.second = (self.now / 1_000, 0);
        }
        self.second.1 += 1;
        match self.second.1 > STEPS_PER_SECOND {
            true => Err(broken("everything comes to rest", format!("{STEPS_PER_SECOND} steps within a second"))),
            false => Ok(()),
        }
    }

    fn later(&mut self, delay: u64, event: Event) {
        self.last_event += 1;
        self.queue.push(Reverse(Scheduled { at: self.now + delay, serial: self.last_event, event }));
    }

    fn strikes(&mut self, fault: Fault) -> bool {
        self.weather.strikes(&mut self.rng, fault)
    }

    fn latency(&mut self) -> u64 {
        match self.rng.u32(0..20) {
            0 => self.rng.u64(200..1_500),
            1..4 => self.rng.u64(20..200),
            _ => self.rng.u64(1..20),
        }
    }

    // ---- tabs

    fn tab(&mut self, tab: TabId) -> Option<&mut Tab> {
        self.tabs.get_mut(tab)?.as_deref_mut()
    }

    fn clock(&self, tab: TabId) -> Now {
        let profile = self.tabs.get(tab).and_then(Option::as_ref).map_or(0, |tab| tab.profile);
        let Some(profile) = self.profiles.get(profile) else { return Now::default() };
        Now {
            mono: self.now.saturating_add_signed(profile.mono_shift),
            wall: (DAWN + self.now).saturating_add_signed(profile.wall_shift),
        }
    }

    fn alive(&self) -> Vec<TabId> {
        (0..self.tabs.len()).filter(|tab| self.tabs[*tab].is_some()).collect()
    }

    fn running(&self) -> Vec<TabId> {
        let runs = |tab: &TabId| self.tabs[*tab].as_ref().is_some_and(|tab| tab.is_running() && !tab.closed);
        (0..self.tabs.len()).filter(runs).collect()
    }

    fn config(&self, profile: usize, user: &str) -> Config {
        let profile = &self.profiles[profile];
        Config {
            url: "https://project.test".into(),
            api_key: "key".into(),
            user_id: profile.names_user.then(|| user.to_owned()),
            sender_role: None,
            resume_on_reconnect: profile.resumes,
            auto_read: true,
            ticks_of_all: false,
            keep_messages: profile.keeps,
            request_timeout_ms: 10_000,
            source: Default::default(),
            drain_only: false,
        }
    }

    /// Something happens to a tab. What does not run hears of it later.
    fn feed(&mut self, id: TabId, input: Input) -> Outcome {
        let clock = self.clock(id);
        let Some(tab) = self.tabs.get_mut(id).and_then(Option::as_deref_mut) else { return Ok(()) };
        if !tab.is_running() {
            tab.inbox.push_back(input);
            return Ok(());
        }
        if tab.closed {
            return Ok(());
        }
        let transacted = matches!(input, Input::Stored { .. });
        if transacted {
            tab.transacting = None;
        }
        let effects = tab.handle(clock, input);
        for effect in effects {
            if matches!(effect, Effect::LetTransactionsGo) {
                // Nobody else sees it: a tab that dies here might as well die at the next effect.
                self.perform(id, effect)?;
                continue;
            }
            if self.strikes(Fault::CrashBefore) {
                self.note(|| format!("tab {id} dies before an effect"));
                return self.kill(id);
            }
            self.perform(id, effect)?;
            if self.strikes(Fault::CrashAfter) {
                self.note(|| format!("tab {id} dies after an effect"));
                return self.kill(id);
            }
        }
        self.look(id)?;
        if let Some(tab) = self.tab(id) {
            tab.screen.closed = tab.closed;
        }
        self.begin_transaction(id);
        self.arm(id);
        Ok(())
    }

    /// What the observer learns.
    fn look(&mut self, id: TabId) -> Outcome {
        loop {
            let Some(tab) = self.tab(id) else { return Ok(()) };
            let Some(update) = tab.engine.poll_update() else { return Ok(()) };
            if self.prints {
                self.note_update(id, &update);
            }
            let Some(tab) = self.tab(id) else { return Ok(()) };
            match tab.screen.take(update)? {
                Some(Seen::Answered { op }) => self.call_answered(id, op)?,
                Some(seen) => self.delivery_announced(id, &seen)?,
                None => {}
            }
        }
    }

    fn note_update(&mut self, id: TabId, update: &Update) {
        match update {
            Update::Messages { conversation_id, patch } => {
                let reset = if patch.reset { " anew" } else { "" };
                let places: Vec<u64> =
                    patch.upserts.iter().map(|(place, _)| *place).filter(|at| *at < 1 << 52).collect();
                let gone: Vec<&str> = patch.removes.iter().map(|id| id.as_str()).collect();
                self.note(|| format!("tab {id} shows {conversation_id}{reset}: {places:?}, without {gone:?}"));
            }
            Update::Conversations { patch } => {
                let reset = if patch.reset { " anew" } else { "" };
                let place = |line| Some((text(line, "id")?, number(line, "last_seq")?, number(line, "unread")?));
                let lines: Vec<_> = patch.upserts.iter().filter_map(place).collect();
                self.note(|| {
                    format!("tab {id} lists{reset}: {lines:?}, without {:?}, loaded {}", patch.removes, patch.loaded)
                });
            }
            Update::ListState { state, error } => {
                self.note(|| {
                    format!("tab {id}: the list is {} {:?}", state.as_str(), error.as_ref().map(|it| &it.code))
                });
            }
            Update::Loaded { conversation_id } => self.note(|| format!("tab {id} has loaded {conversation_id}")),
            Update::Problem { conversation_id, error } => {
                let code = error.as_ref().map(|error| error.code.as_str());
                self.note(|| format!("tab {id}: problem of {conversation_id:?}: {code:?}"));
            }
            _ => {}
        }
    }

    fn arm(&mut self, id: TabId) {
        let clock = self.clock(id);
        self.last_timer += 1;
        let serial = self.last_timer;
        let Some(tab) = self.tab(id) else { return };
        let Some((due, _)) = tab.engine.next_deadline() else {
            tab.timer = None;
            return;
        };
        if tab.timer.is_some_and(|timer| timer.due == due && due > clock.mono) {
            return;
        }
        tab.timer = Some(Timer { serial, due, armed: clock });
        let mut delay = due.saturating_sub(clock.mono).max(1);
        if self.weather.chance(Fault::Throttle) > 0 && self.strikes(Fault::Throttle) {
            delay += self.rng.u64(1..70_000);
        }
        self.later(delay, Event::Timer { tab: id, serial });
    }

    fn timer(&mut self, id: TabId, serial: u64) -> Outcome {
        let clock = self.clock(id);
        let Some(tab) = self.tab(id) else { return Ok(()) };
        let Some(timer) = tab.timer.filter(|timer| timer.serial == serial) else { return Ok(()) };
        if !tab.is_running() {
            // It fires when the tab runs again.
            return Ok(());
        }
        tab.timer = None;
        self.mark(id, "timer");
        self.feed(id, timer_input(timer.armed, timer.due, clock))
    }

    fn start_tab(&mut self, profile: usize) -> Result<TabId, Broken> {
        let id = self.tabs.len();
        let seed = self.rng.u64(..);
        let user = self.profiles[profile].signed_in.unwrap_or(self.profiles[profile].users[0]);
        let config = self.config(profile, user);
        self.tabs.push(Some(Box::new(Tab::new(profile, config, seed))));
        let start = surechat::engine::Command::Start {
            remembered_user: self.disks[profile].remembered.clone(),
            visible: true,
            online: self.profiles[profile].online,
        };
        self.note(|| format!("tab {id} starts in profile {profile}"));
        self.feed(id, Input::Command(start))?;
        Ok(id)
    }

    fn kill(&mut self, id: TabId) -> Outcome {
        self.mark(id, "dies");
        self.let_go(id);
        self.tabs[id] = None;
        Ok(())
    }

    /// What the browser does when a tab is gone: its lock goes on, its requests lose their page, its socket is closed.
    fn let_go(&mut self, id: TabId) {
        let Some(profile) = self.tabs[id].as_ref().map(|tab| tab.profile) else { return };
        let news = self.locks[profile].release(id);
        self.spread_lock_news(news);
        for exchange in self.exchanges.values_mut().filter(|exchange| exchange.tab == id) {
            exchange.over = true;
        }
        self.sockets.retain(|(tab, _), _| *tab != id);
    }

    /// From now on nothing runs in this tab, for this long.
    fn still(&mut self, id: TabId, duration: u64, wakes_with: Option<PageEvent>) {
        self.last_timer += 1;
        let stillness = self.last_timer;
        let Some(tab) = self.tab(id).filter(|tab| tab.is_running()) else { return };
        tab.state = State::Still(stillness);
        tab.wakes_with = wakes_with;
        self.later(duration, Event::Thaw { tab: id, stillness });
    }

    fn thaw(&mut self, id: TabId, stillness: u64) -> Outcome {
        let first = self.rng.u32(0..5) > 0;
        let profile = self.tab(id).map_or(0, |tab| tab.profile);
        let asleep = self.profiles[profile].asleep.is_some();
        let Some(tab) = self.tab(id).filter(|tab| tab.state == State::Still(stillness)) else { return Ok(()) };
        if asleep {
            self.later(1_000, Event::Thaw { tab: id, stillness });
            return Ok(());
        }
        tab.state = State::Running;
        tab.cached = false;
        let event = tab.wakes_with.take();
        let mut inbox = std::mem::take(&mut tab.inbox);
        if let Some(event) = event {
            match first {
                true => inbox.push_front(Input::Page(event)),
                false => inbox.push_back(Input::Page(event)),
            }
        }
        let waiting = inbox.len();
        self.note(|| format!("tab {id} thaws with {waiting} inputs"));
        for input in inbox {
            self.feed(id, input)?;
        }
        self.rearm(id);
        Ok(())
    }

    /// A timer that waited while nothing ran goes by the clocks as they are now.
    fn rearm(&mut self, id: TabId) {
        let clock = self.clock(id);
        self.last_timer += 1;
        let serial = self.last_timer;
        let Some(timer) = self.tab(id).and_then(|tab| tab.timer.as_mut()) else { return };
        timer.serial = serial;
        let delay = timer.due.saturating_sub(clock.mono).max(1);
        self.later(delay, Event::Timer { tab: id, serial });
    }

    // ---- the trace

    fn mark(&mut self, tab: TabId, what: &str) {
        self.hash(what.as_bytes());
        self.hash(&(tab as u64).to_le_bytes());
        self.hash(&self.now.to_le_bytes());
        if self.prints {
            println!("{:>9} tab {tab}: {what}", self.now);
        }
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if self.prints {
            let mut line = line();
            if line.len() > LONGEST_TRACE_LINE {
                line = line.chars().take(LONGEST_TRACE_LINE).collect();
            }
            println!("{:>9} {line}", self.now);
        }
    }

    /// For a reader of a trace: how every tab is.
    pub fn describe(&self) -> String {
        let mut lines = String::new();
        for (id, tab) in self.tabs.iter().enumerate().filter_map(|(id, tab)| Some((id, tab.as_deref()?))) {
            let clock = self.clock(id);
            let due = tab.engine.next_deadline().map(|(at, reason)| (at as i64 - clock.mono as i64, reason));
            lines += &format!(
                "tab {id} of profile {}: {:?}, closed {}, visible {}, lacks storage {}, {:?}, timer {:?}, due in {due:?}, \
                 {} transactions, busy {}, generation {:?}, claim {:?}, database {:?}, problems {:?}\n",
                tab.profile,
                tab.state,
                tab.closed,
                tab.visible,
                tab.screen.lacks_storage,
                tab.screen.connection,
                tab.timer.map(|timer| timer.due as i64 - clock.mono as i64),
                tab.transactions.len(),
                tab.transacting.is_some(),
                tab.generation,
                tab.claim,
                tab.database,
                tab.screen.problems.values().map(|problem| problem.code.as_str()).collect::<Vec<_>>(),
            );
        }
        lines
    }

    fn hash(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn failed(name: &str) -> StoreError {
    StoreError::Failed(name.into())
}
