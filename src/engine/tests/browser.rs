//! Several tabs of one user in one browser: one database, one lock, one channel, and tabs that sleep and die.

use std::collections::VecDeque;

use super::{
    server::Server,
    world::{BOOKING, CLIENT, LockAsk, OPERATOR, World},
};
use crate::{
    engine::{Command, Input, Now, PageEvent, Update},
    store::MemoryStore,
    tabs::{Role, TabMessage},
};

pub struct Browser {
    pub store: MemoryStore,
    pub server: Server,
    pub now: Now,
    pub tabs: Vec<Tab>,
    /// `false`: there are no Web Locks here.
    pub locks: bool,
    holder: Option<usize>,
    queue: VecDeque<usize>,
    mail: VecDeque<(usize, Input)>,
}

pub struct Tab {
    pub world: World,
    alive: bool,
    asleep: bool,
    /// It does not hear yet what others have said meanwhile.
    deaf: bool,
    /// What it will hear when it wakes.
    letters: Vec<Input>,
    /// Nobody hears what it says.
    pub mute: bool,
    /// It hears late that it was robbed.
    pub unaware: bool,
}

impl Browser {
    /// Tabs that were opened one after the other, all in sight.
    pub fn with_tabs(count: u8) -> Self {
        Self::started(count, true)
    }

    pub fn without_locks(count: u8) -> Self {
        Self::started(count, false)
    }

    fn started(count: u8, locks: bool) -> Self {
        let mut browser = Self {
            store: MemoryStore::default(),
            server: Server::with_conversation(BOOKING, &[(OPERATOR, "operator"), (CLIENT, "client")]),
            now: World::new().now,
            tabs: Vec::new(),
            locks,
            holder: None,
            queue: VecDeque::new(),
            mail: VecDeque::new(),
        };
        for _ in 0..count {
            browser.open_tab();
        }
        browser.run_for(2_000);
        browser
    }

    pub fn open_tab(&mut self) -> usize {
        let nth = self.add(World::nth);
        self.at(nth, World::start);
        nth
    }

    /// A service worker that was woken to send.
    pub fn open_worker(&mut self) -> usize {
        self.add_worker(|_| {})
    }

    pub fn add_worker(&mut self, prepare: impl FnOnce(&mut World)) -> usize {
        let nth = self.add(World::worker);
        prepare(&mut self.tabs[nth].world);
        let start = Command::Start { remembered_user: None, visible: true, online: true };
        self.command(nth, start);
        nth
    }

    fn add(&mut self, world: impl FnOnce(u8) -> World) -> usize {
        let nth = self.tabs.len();
        let world = world(nth as u8);
        let (asleep, deaf, mute, unaware) = (false, false, false, false);
        self.tabs.push(Tab { world, alive: true, asleep, deaf, letters: Vec::new(), mute, unaware });
        nth
    }

    /// Do something in a tab, and let everybody hear of it.
    pub fn at<T>(&mut self, nth: usize, act: impl FnOnce(&mut World) -> T) -> T {
        let result = self.alone(nth, act);
        while let Some((nth, input)) = self.mail.pop_front() {
            self.hand(nth, input);
        }
        result
    }

    pub fn page(&mut self, nth: usize, event: PageEvent) {
        self.at(nth, |tab| tab.feed(Input::Page(event)));
    }

    pub fn command(&mut self, nth: usize, command: Command) {
        self.at(nth, |tab| tab.command(command));
    }

    /// Its thread is stuck, or the browser froze it without a word.
    pub fn sleep(&mut self, nth: usize) {
        self.tabs[nth].asleep = true;
    }

    /// It works again, and what was said meanwhile waits behind its own work.
    pub fn stir(&mut self, nth: usize) {
        self.tabs[nth].asleep = false;
        self.tabs[nth].deaf = true;
    }

    /// It hears everything at once.
    pub fn wake(&mut self, nth: usize) {
        self.tabs[nth].asleep = false;
        self.tabs[nth].deaf = false;
        for input in std::mem::take(&mut self.tabs[nth].letters) {
            self.at(nth, |_| ());
            self.hand(nth, input);
        }
        self.at(nth, |_| ());
    }

    /// Without a word. The browser hands its lock on.
    pub fn crash(&mut self, nth: usize) {
        self.tabs[nth].alive = false;
        self.release(nth);
        self.at(nth, |_| ());
    }

    pub fn close_tab(&mut self, nth: usize) {
        self.command(nth, Command::Shutdown { op: 99, discard: false });
        self.crash(nth);
    }

    /// Let time pass, from deadline to deadline.
    pub fn run_for(&mut self, ms: u64) {
        let end = self.now.mono + ms;
        for _ in 0..10_000 {
            let awake = |tab: &&Tab| tab.alive && !tab.asleep;
            let due = |tab: &Tab| tab.world.engine.next_deadline().map(|(at, _)| at);
            let Some(at) = self.tabs.iter().filter(awake).filter_map(due).min().filter(|at| *at <= end) else {
                return self.pass(end);
            };
            self.pass(at);
            for nth in 0..self.tabs.len() {
                let due = self.tabs[nth].world.engine.next_deadline().is_some_and(|(due, _)| due <= self.now.mono);
                if due && self.tabs[nth].alive && !self.tabs[nth].asleep {
                    self.at(nth, |tab| tab.feed(Input::Timer));
                }
            }
        }
        panic!("the tabs never rest");
    }

    pub fn role(&self, nth: usize) -> Role {
        self.tabs[nth].world.engine.role
    }

    /// How often somebody took the lead in this database.
    pub fn leads(&self) -> u64 {
        self.store.generation() & ((1 << crate::engine::lead::COUNT_BITS) - 1)
    }

    /// The one that leads, as far as it knows.
    pub fn leader(&self) -> Option<usize> {
        let leads = |nth: &usize| self.tabs[*nth].alive && self.role(*nth).generation().is_some();
        let leaders: Vec<usize> = (0..self.tabs.len()).filter(leads).collect();
        assert!(leaders.len() < 2, "several lead: {leaders:?}");
        leaders.first().copied()
    }

    pub fn contents(&self) -> Vec<&str> {
        self.server.contents(BOOKING)
    }

    pub fn status(&self, nth: usize) -> &'static str {
        self.tabs[nth].world.connections().last().copied().unwrap_or_default()
    }

    pub fn sync(&self, nth: usize) -> &'static str {
        let state = |update: &Update| if let Update::Sync { state, .. } = update { Some(state.as_str()) } else { None };
        self.tabs[nth].world.updates.iter().filter_map(state).next_back().unwrap_or_default()
    }

    pub fn said(&self, nth: usize, is_it: impl Fn(&TabMessage) -> bool) -> usize {
        self.tabs[nth].world.said.iter().filter(|message| is_it(message)).count()
    }

    fn pass(&mut self, mono: u64) {
        let passed = mono.saturating_sub(self.now.mono);
        self.now = Now { mono: self.now.mono + passed, wall: self.now.wall + passed };
    }

    fn hand(&mut self, nth: usize, input: Input) {
        let tab = &mut self.tabs[nth];
        let late = tab.unaware && matches!(input, Input::LockLost);
        match tab.alive {
            true if tab.asleep || tab.deaf || late => tab.letters.push(input),
            true => self.alone(nth, |tab| tab.feed(input)),
            false => {}
        }
    }

    fn alone<T>(&mut self, nth: usize, act: impl FnOnce(&mut World) -> T) -> T {
        let Tab { world, .. } = &mut self.tabs[nth];
        let heard = world.said.len();
        world.now = self.now;
        std::mem::swap(&mut world.store, &mut self.store);
        std::mem::swap(&mut world.server, &mut self.server);
        let result = act(world);
        std::mem::swap(&mut world.store, &mut self.store);
        std::mem::swap(&mut world.server, &mut self.server);
        let said: Vec<TabMessage> = world.said.split_off(heard);
        let asks = std::mem::take(&mut world.lock_asks);
        world.said.extend(said.clone());
        if !self.tabs[nth].mute {
            for message in said {
                let others = (0..self.tabs.len()).filter(|other| *other != nth && self.tabs[*other].world.in_touch);
                self.mail.extend(others.map(|other| (other, Input::Heard(message.clone()))));
            }
        }
        for ask in asks {
            self.ask_lock(nth, ask);
        }
        result
    }

    fn ask_lock(&mut self, nth: usize, ask: LockAsk) {
        self.release(nth);
        match ask {
            LockAsk::Release => {}
            _ if !self.locks => self.mail.push_back((nth, Input::LockGranted { exclusive: false })),
            LockAsk::IfFree if self.holder.is_some() => self.mail.push_back((nth, Input::LockLost)),
            LockAsk::Acquire | LockAsk::IfFree => {
                self.queue.push_back(nth);
                self.grant();
            }
            LockAsk::Steal => {
                if let Some(robbed) = self.holder.replace(nth) {
                    self.mail.push_back((robbed, Input::LockLost));
                }
                self.mail.push_back((nth, Input::LockGranted { exclusive: true }));
            }
        }
    }

    fn release(&mut self, nth: usize) {
        self.queue.retain(|waiting| *waiting != nth);
        if self.holder == Some(nth) {
            self.holder = None;
            self.grant();
        }
    }

    fn grant(&mut self) {
        if self.holder.is_none()
            && let Some(next) = self.queue.pop_front()
        {
            self.holder = Some(next);
            self.mail.push_back((next, Input::LockGranted { exclusive: true }));
        }
    }
}
