//! The machine against a model server, over a network that delays, loses and doubles, under a
//! clock that jumps from one thing to the next.

use super::*;

const CHAOS: u64 = 3_600_000;
/// A rate limit (60 s) may be told just before the network turns kind.
const BOUND: u64 = 120_000;

struct World {
    realtime: Realtime,
    rng: fastrand::Rng,
    now: u64,
    kind: bool,
    /// What is on its way, by time and order.
    wire: BTreeMap<(u64, u64), Packet>,
    sent: u64,
    server: Server,
    tokens: u32,
    ready: bool,
}

/// What the server knows: one socket, and the joins on it.
#[derive(Default)]
struct Server {
    epoch: Option<u32>,
    joined: BTreeMap<String, String>,
}

#[derive(Clone)]
enum Packet {
    ToServer(Output),
    ToMachine(Input),
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = World {
            realtime: Realtime::new(Config::new("wss://host/websocket", "key"), seed),
            rng: fastrand::Rng::with_seed(!seed),
            now: 0,
            kind: false,
            wire: BTreeMap::new(),
            sent: 0,
            server: Server::default(),
            tokens: 0,
            ready: false,
        };
        world.realtime.set_desired(0, one_channel());
        world.realtime.start(0);
        world
    }

    fn chance(&mut self, percent: u32) -> bool {
        !self.kind && self.rng.u32(0..100) < percent
    }

    fn post(&mut self, packet: Packet) {
        if self.chance(5) {
            return;
        }
        for _ in 0..1 + u32::from(self.chance(5)) {
            let slow = self.chance(10);
            let delay = self.rng.u64(0..if slow { 12_000 } else { 60 });
            self.sent += 1;
            let at = (self.now + delay, self.sent);
            self.wire.insert(at, packet.clone());
        }
    }

    fn tell(&mut self, epoch: u32, frame: Value) {
        let text = frame.to_string();
        self.post(Packet::ToMachine(Input::Text { epoch, text }));
    }

    fn drain(&mut self) {
        while let Some(output) = self.realtime.poll_output() {
            self.post(Packet::ToServer(output));
        }
        while let Some(event) = self.realtime.poll_event() {
            match event {
                Event::ChannelReady { .. } => {
                    assert!(!self.ready, "ready twice");
                    self.ready = true;
                }
                Event::ChannelLost { .. } => {
                    assert!(self.ready, "lost what was not there");
                    self.ready = false;
                }
                _ => {}
            }
        }
        assert_eq!(self.ready, self.realtime.is_ready(TOPIC));
    }

    fn serve(&mut self, output: Output) {
        match output {
            Output::NeedToken => {
                self.tokens += u32::from(self.kind || self.rng.bool());
                let life = self.rng.u64(1_000..300_000);
                let token = Token {
                    jwt: format!("jwt {}", self.tokens),
                    expires_at: Some(self.now + if self.kind { 3_600_000 } else { life }),
                };
                let token = Some(token).filter(|_| !self.chance(20));
                self.post(Packet::ToMachine(Input::Token(token)));
            }
            Output::Connect { epoch, .. } if self.chance(30) => {
                let code = 1006;
                self.post(Packet::ToMachine(Input::Closed { epoch, code }));
            }
            Output::Connect { epoch, .. } => {
                self.server = Server { epoch: Some(epoch), ..Server::default() };
                self.post(Packet::ToMachine(Input::Opened { epoch }));
            }
            Output::Close { epoch } => {
                let code = 1005;
                self.post(Packet::ToMachine(Input::Closed { epoch, code }));
            }
            Output::SendText { epoch, text } if self.server.epoch == Some(epoch) => {
                let frame: Value = serde_json::from_str(&text).expect("JSON of our own");
                self.serve_frame(epoch, &frame);
            }
            Output::SendText { .. } => {}
        }
    }

    fn serve_frame(&mut self, epoch: u32, frame: &Value) {
        let (join, reference, topic) = (&frame[0], &frame[1], &frame[2]);
        let ok = json!({"status": "ok", "response": {}});
        let known = topic.as_str().unwrap_or_default().to_owned();
        match frame[3].as_str().unwrap_or_default() {
            "heartbeat" => self.tell(epoch, json!([null, reference, topic, "phx_reply", ok])),
            "phx_join" if self.chance(25) => {
                let reasons = [
                    "InvalidJWTToken: Token has expired 1 seconds ago",
                    "JwtSignatureError: x",
                    "Unauthorized: x",
                    "ClientJoinRateLimitReached: x",
                    "InitializingProjectConnection: x",
                ];
                let reason = reasons[self.rng.usize(0..reasons.len())];
                let error = json!({"status": "error", "response": {"reason": reason}});
                self.tell(epoch, json!([join, reference, topic, "phx_reply", error]));
            }
            "phx_join" => {
                let reference = join.as_str().unwrap_or_default().to_owned();
                if let Some(old) = self.server.joined.insert(known, reference) {
                    self.tell(epoch, json!([old, old, topic, "phx_close", {}]));
                }
                self.tell(epoch, json!([join, join, topic, "phx_reply", ok]));
                let streaming =
                    json!({"extension": "system", "status": "ok", "message": "Replication connection established"});
                self.tell(epoch, json!([join, null, topic, "system", streaming]));
            }
            "phx_leave" => {
                self.server.joined.remove(&known);
                self.tell(epoch, json!([join, join, topic, "phx_close", {}]));
            }
            _ if !self.server.joined.contains_key(&known) => {
                let error = json!({"status": "error", "response": {"reason": "unmatched topic"}});
                self.tell(epoch, json!([null, reference, topic, "phx_reply", error]));
            }
            _ => {}
        }
    }

    /// A bad day: the socket is cut, the channel crashes, the page sleeps or loses its network.
    fn mishap(&mut self) {
        let epoch = self.server.epoch.unwrap_or_default();
        match self.rng.u32(0..6) {
            0 => {
                self.server = Server::default();
                let code = 1012;
                self.realtime.handle(self.now, Input::Closed { epoch, code });
            }
            1 => {
                for (topic, join) in std::mem::take(&mut self.server.joined) {
                    self.tell(epoch, json!([join, join, topic, "phx_error", {}]));
                }
            }
            2 => self.realtime.handle(self.now, Input::Offline),
            3 => self.realtime.handle(self.now, Input::Online),
            4 => self.realtime.handle(self.now, Input::Woke),
            _ => self.now += self.rng.u64(0..120_000),
        }
    }

    /// Runs until `end` or until `done`, and fails when time stands still.
    fn drive_bounded(&mut self, end: u64, done: impl Fn(&World) -> bool) {
        let (mut at_once, mut last) = (0, self.now);
        loop {
            self.drain();
            if done(self) {
                return;
            }
            let wire = self.wire.first_key_value().map(|((at, _), _)| *at);
            let timer = self.realtime.poll_timeout().map(|(at, _)| at);
            let Some(next) = wire.into_iter().chain(timer).min() else {
                // Refused for its token; the session brings another one some time.
                assert_eq!(self.realtime.state(), SocketState::Idle);
                self.now += 60_000;
                self.serve(Output::NeedToken);
                continue;
            };
            if next > end {
                self.now = end.max(self.now);
                return;
            }
            self.now = self.now.max(next);
            at_once = if self.now == last { at_once + 1 } else { 0 };
            last = self.now;
            assert!(at_once < 1_000, "livelock");
            if wire.is_some_and(|at| at <= self.now) {
                match self.wire.pop_first() {
                    Some((_, Packet::ToServer(output))) => self.serve(output),
                    Some((_, Packet::ToMachine(input))) => self.realtime.handle(self.now, input),
                    None => {}
                }
            } else {
                self.realtime.handle_timeout(self.now);
            }
            if self.chance(2) {
                self.mishap();
            }
        }
    }
}

#[test]
fn once_the_server_is_kind_the_channel_becomes_ready_in_bounded_time() {
    for seed in 0..100 {
        let mut world = World::new(seed);
        world.drive_bounded(CHAOS, |_| false);
        world.kind = true;
        world.realtime.handle(world.now, Input::Online);
        // Whoever owns the token renews it some time.
        world.serve(Output::NeedToken);
        let bound = world.now + BOUND;
        world.drive_bounded(bound, |_| false);
        assert!(world.ready, "seed {seed}: {:?}", world.realtime.state());

        let end = world.now + 600_000;
        world.drive_bounded(end, |world| !world.ready);
        assert!(world.ready, "seed {seed}: lost without a reason");
    }
}

#[test]
fn the_same_seed_makes_the_same_trace() {
    let trace = |seed| {
        let mut world = World::new(seed);
        world.drive_bounded(CHAOS, |_| false);
        (world.sent, world.tokens, world.realtime.state(), world.ready)
    };
    assert_eq!(trace(5), trace(5));
    assert_ne!(trace(5), trace(6));
}
