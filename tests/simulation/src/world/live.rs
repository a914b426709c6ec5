//! The far end of the sockets: Supabase Realtime as far as the engine speaks to it.

use surechat::{
    engine::Input,
    json::{Value, list, object, parse, print, text},
    realtime::{self, Output},
};

use super::{Event, Outcome, World};
use crate::{TabId, Time, broken, faults::Fault, server::Live, token::subject};

#[derive(Default)]
pub(super) struct Socket {
    open: bool,
    /// Nothing goes through any more, and nobody says so.
    pub half_open: bool,
    joined: Vec<Join>,
    /// Frames stay in order, each way.
    last_up: Time,
    last_down: Time,
}

impl Socket {
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.joined.iter().map(|join| join.topic.as_str())
    }
}

pub(super) struct Join {
    /// Of a user, or of a conversation.
    topic: String,
    join_ref: Value,
    pub jwt: String,
    ready: bool,
}

impl World {
    pub(super) fn socket(&mut self, id: TabId, output: Output) -> Outcome {
        match output {
            Output::Connect { epoch, .. } => {
                self.sockets.retain(|(tab, _), _| *tab != id);
                let profile = self.tab(id).map_or(0, |tab| tab.profile);
                let delay = self.latency();
                if !self.profiles[profile].online || self.strikes(Fault::ConnectFails) {
                    self.later_input(delay, id, realtime::Input::Closed { epoch, code: 1006 });
                } else {
                    let last_down = self.now + delay;
                    self.sockets.insert((id, epoch), Socket { open: true, last_down, ..Socket::default() });
                    self.later_input(delay, id, realtime::Input::Opened { epoch });
                }
            }
            Output::SendText { epoch, text } => {
                self.check_frame(id, &text)?;
                let delay = self.latency();
                let now = self.now;
                if let Some(socket) = self.sockets.get_mut(&(id, epoch)).filter(|it| it.open && !it.half_open) {
                    socket.last_up = socket.last_up.max(now + delay);
                    let delay = socket.last_up - now;
                    self.later(delay, Event::Pushed { tab: id, epoch, text });
                }
            }
            Output::Close { epoch } => {
                self.sockets.remove(&(id, epoch));
            }
            Output::NeedToken => return Err(broken("the engine asks for tokens itself", format!("tab {id}"))),
        }
        Ok(())
    }

    fn later_input(&mut self, delay: u64, tab: TabId, input: realtime::Input) {
        self.later(delay, Event::Feed { tab, input: Box::new(Input::Socket(input)) });
    }

    fn check_frame(&self, id: TabId, frame: &str) -> Outcome {
        let Some(frame) = parse(frame) else { return Err(broken("frames are JSON", frame.into())) };
        let Some(tab) = self.tabs[id].as_deref() else { return Ok(()) };
        let token = text(&frame[4], "access_token").and_then(subject);
        if token.is_some() && token.as_deref() != tab.user() && tab.database.is_some() {
            return Err(broken(
                "nothing goes out under another name",
                format!("a join of {:?} by {token:?}", tab.user()),
            ));
        }
        Ok(())
    }

    pub(super) fn pushed(&mut self, id: TabId, epoch: u32, frame: &str) -> Outcome {
        let Some(frame) = parse(frame) else { return Ok(()) };
        if self.sockets.get(&(id, epoch)).is_none_or(|socket| socket.half_open) {
            return Ok(());
        }
        let reply = |status: &str, response: Value| {
            let payload = object(vec![("status", status.into()), ("response", response)]);
            list([frame[0].clone(), frame[1].clone(), frame[2].clone(), "phx_reply".into(), payload].into_iter())
        };
        let refuse = |reason: &str| reply("error", object(vec![("reason", reason.into())]));
        match frame[3].as_str().unwrap_or_default() {
            "phx_join" => {
                let jwt = text(&frame[4], "access_token").unwrap_or_default().to_owned();
                let topic = frame[2].as_str().unwrap_or_default().to_owned();
                let user = self.server.auth.check(&jwt, self.now).map(str::to_owned);
                let allowed = user.as_deref().map(|user| self.may_join(user, &topic));
                let reason = if self.strikes(Fault::JoinRefused) {
                    let reasons = [
                        "Unauthorized: You do not have permissions to read from this Channel topic",
                        "InitializingProjectConnection: wait",
                        "MalformedJWT: The token provided is not a valid JWT",
                        "ClientJoinRateLimitReached: too many",
                        "UnknownErrorOnChannel",
                    ];
                    Some(*self.rng.choice(&reasons).unwrap_or(&""))
                } else {
                    match allowed {
                        None => Some("InvalidJWTToken: Token has expired 3 seconds ago"),
                        Some(false) => {
                            Some("Unauthorized: You do not have permissions to read from this Channel topic")
                        }
                        Some(true) => None,
                    }
                };
                if let Some(reason) = reason {
                    self.frame(id, epoch, &refuse(reason));
                    return Ok(());
                }
                self.frame(id, epoch, &reply("ok", object(vec![("postgres_changes", list([].into_iter()))])));
                if let Some(socket) = self.sockets.get_mut(&(id, epoch)) {
                    socket.joined.retain(|join| join.topic != topic);
                    let join_ref = frame[0].clone();
                    socket.joined.push(Join { topic: topic.clone(), join_ref, jwt, ready: false });
                }
                self.later(1_000, Event::TokenEnds { tab: id, epoch, topic: topic.clone() });
                match is_inbox(&topic) {
                    true => self.say_ready(id, epoch, &topic),
                    false => self.tell_who_is_there(id, epoch, &topic),
                }
            }
            "heartbeat" | "phx_leave" => {
                if frame[3] == "phx_leave"
                    && let Some(socket) = self.sockets.get_mut(&(id, epoch))
                {
                    socket.joined.retain(|join| frame[2] != join.topic.as_str());
                }
                self.frame(id, epoch, &reply("ok", object(Vec::new())));
            }
            "presence" => {
                self.tracked(id, epoch, frame[2].as_str().unwrap_or_default());
                self.frame(id, epoch, &reply("ok", object(Vec::new())));
            }
            "broadcast" => self.relay(id, epoch, frame[2].as_str().unwrap_or_default(), &frame[4]),
            "access_token" => {
                let jwt = text(&frame[4], "access_token").unwrap_or_default().to_owned();
                if let Some(join) = frame[2].as_str().and_then(|topic| self.join_of(id, epoch, topic)) {
                    join.jwt = jwt;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// As the policies on `realtime.messages` have it.
    fn may_join(&self, user: &str, topic: &str) -> bool {
        match topic.strip_prefix("realtime:chat:") {
            Some(id) => self.server.conversation(id).is_some_and(|held| held.member(user).is_some()),
            None => topic == format!("realtime:chat-user:{user}"),
        }
    }

    pub(super) fn join_of(&mut self, id: TabId, epoch: u32, topic: &str) -> Option<&mut Join> {
        self.sockets.get_mut(&(id, epoch))?.joined.iter_mut().find(|join| join.topic == topic)
    }

    fn say_ready(&mut self, id: TabId, epoch: u32, topic: &str) {
        if self.strikes(Fault::ReadyMissing) {
            return;
        }
        if self.strikes(Fault::ReadyLate) {
            let wait = self.rng.u64(1_000..14_000);
            if let Some(socket) = self.sockets.get_mut(&(id, epoch)) {
                socket.last_down = socket.last_down.max(self.now + wait);
            }
        }
        let Some(join) = self.join_of(id, epoch, topic) else { return };
        join.ready = true;
        let frame = ready_frame(join);
        self.frame(id, epoch, &frame);
    }

    /// The server lost its replication and will subscribe anew: what is committed meanwhile is lost.
    pub(super) fn lose_subscription(&mut self, id: TabId) {
        let mut lost = Vec::new();
        for ((tab, epoch), socket) in &mut self.sockets {
            for join in socket.joined.iter_mut().filter(|join| *tab == id && join.ready && is_inbox(&join.topic)) {
                join.ready = false;
                lost.push((*epoch, join.topic.clone()));
            }
        }
        for (epoch, topic) in lost {
            self.weather.count(Fault::ReadyAgain);
            let delay = self.rng.u64(1..8_000);
            self.later(delay, Event::Subscribed { tab: id, epoch, topic });
        }
    }

    /// It has done so, and this is the only sign.
    pub(super) fn subscribed(&mut self, id: TabId, epoch: u32, topic: &str) -> Outcome {
        let Some(join) = self.join_of(id, epoch, topic).filter(|join| !join.ready) else { return Ok(()) };
        join.ready = true;
        let frame = ready_frame(join);
        self.frame(id, epoch, &frame);
        Ok(())
    }

    /// The server looks after the tokens of its channels.
    pub(super) fn token_ends(&mut self, id: TabId, epoch: u32, topic: String) -> Outcome {
        let now = self.now;
        let Some(join) = self.join_of(id, epoch, &topic) else { return Ok(()) };
        let jwt = join.jwt.clone();
        if self.server.auth.check(&jwt, now).is_some() {
            self.later(5_000, Event::TokenEnds { tab: id, epoch, topic });
            return Ok(());
        }
        let Some(socket) = self.sockets.get_mut(&(id, epoch)) else { return Ok(()) };
        let Some(place) = socket.joined.iter().position(|join| join.topic == topic) else { return Ok(()) };
        let join = socket.joined.remove(place);
        let payload = object(vec![
            ("extension", "system".into()),
            ("status", "error".into()),
            ("message", "Token has expired 0 seconds ago".into()),
            ("channel", "x".into()),
        ]);
        let topic = join.topic.as_str();
        let system = list([join.join_ref.clone(), Value::Null, topic.into(), "system".into(), payload].into_iter());
        let close = list(
            [join.join_ref.clone(), join.join_ref.clone(), topic.into(), "phx_close".into(), object(Vec::new())]
                .into_iter(),
        );
        self.frame(id, epoch, &system);
        self.frame(id, epoch, &close);
        Ok(())
    }

    pub(super) fn frame(&mut self, id: TabId, epoch: u32, frame: &Value) {
        let delay = self.latency();
        let now = self.now;
        let Some(socket) = self.sockets.get_mut(&(id, epoch)).filter(|socket| !socket.half_open) else { return };
        socket.last_down = socket.last_down.max(now + delay);
        let delay = socket.last_down - now;
        self.later_input(delay, id, realtime::Input::Text { epoch, text: print(frame) });
    }

    /// The server's broadcasts set out.
    pub(super) fn spread_live(&mut self) {
        for mut live in std::mem::take(&mut self.server.live) {
            if self.now < self.silent_until && !self.weather.kind {
                self.weather.count(Fault::ReplicationLost);
                continue;
            }
            if self.strikes(Fault::LiveLost) {
                continue;
            }
            if live.event == "message" && self.strikes(Fault::LiveTruncated) {
                live.payload["row"] = Value::Null;
            }
            let mut delay = self.latency();
            if self.strikes(Fault::LiveLate) {
                delay += self.rng.u64(100..20_000);
            }
            if self.strikes(Fault::LiveDoubled) {
                let again = delay + self.rng.u64(0..10_000);
                self.later(again, Event::Told(Box::new(live.clone())));
            }
            self.later(delay, Event::Told(Box::new(live)));
        }
    }

    pub(super) fn told(&mut self, live: &Live) -> Outcome {
        let topic = format!("realtime:chat-user:{}", live.user);
        let hears = |socket: &Socket| socket.joined.iter().any(|join| join.ready && join.topic == topic);
        let listening: Vec<(TabId, u32)> =
            self.sockets.iter().filter(|(_, socket)| hears(socket)).map(|(key, _)| *key).collect();
        let payload =
            object(vec![("type", "broadcast".into()), ("event", live.event.into()), ("payload", live.payload.clone())]);
        let frame = list([Value::Null, Value::Null, topic.as_str().into(), "broadcast".into(), payload].into_iter());
        for (tab, epoch) in listening {
            self.frame(tab, epoch, &frame);
        }
        Ok(())
    }

    /// The connection ends, and the page hears of it.
    pub(super) fn cut(&mut self, id: TabId) {
        let cut: Vec<(TabId, u32)> = self.sockets.keys().filter(|(tab, _)| *tab == id).copied().collect();
        for (tab, epoch) in cut {
            self.weather.count(Fault::SocketCut);
            self.sockets.remove(&(tab, epoch));
            let delay = self.latency();
            self.later_input(delay, tab, realtime::Input::Closed { epoch, code: 1006 });
        }
    }

    /// The connection is dead, and nobody hears of it.
    pub(super) fn go_half_open(&mut self, id: TabId) {
        for (_, socket) in self.sockets.iter_mut().filter(|((tab, _), socket)| *tab == id && !socket.half_open) {
            self.weather.count(Fault::HalfOpen);
            socket.half_open = true;
        }
    }
}

fn is_inbox(topic: &str) -> bool {
    topic.starts_with("realtime:chat-user:")
}

fn ready_frame(join: &Join) -> Value {
    let payload = object(vec![
        ("extension", "system".into()),
        ("status", "ok".into()),
        ("message", "Replication connection established".into()),
        ("channel", "x".into()),
    ]);
    list([join.join_ref.clone(), Value::Null, join.topic.as_str().into(), "system".into(), payload].into_iter())
}
