mod behaviour;
mod codec;
mod page;
mod peers;
mod presence;
mod refusals;
mod tokens;

use std::collections::BTreeMap;

use crate::{json, json::Value};

use super::*;

const TOPIC: &str = "room";

/// The machine, a clock, and all that came out.
struct Rig {
    realtime: Realtime,
    now: u64,
    epoch: u32,
    outputs: Vec<Output>,
    events: Vec<Event>,
}

impl Rig {
    fn new(channels: BTreeMap<String, ChannelConfig>) -> Self {
        let config = Config::new("wss://host/realtime/v1/websocket", "key");
        let mut rig = Rig {
            realtime: Realtime::new(config, 7),
            now: 1_000_000,
            epoch: 0,
            outputs: Vec::new(),
            events: Vec::new(),
        };
        rig.act(|realtime, now| {
            realtime.set_desired(now, channels);
            realtime.start(now);
        });
        rig
    }

    /// One channel that waits for broadcasts from the database, a token, an open socket.
    fn open() -> Self {
        let mut rig = Rig::new(one_channel());
        rig.give_token("jwt");
        rig.open_socket();
        rig
    }

    fn ready() -> Self {
        let mut rig = Rig::open();
        rig.accept_join();
        rig.say_replication();
        assert!(rig.realtime.is_ready(TOPIC));
        rig.forget();
        rig
    }

    fn act(&mut self, act: impl FnOnce(&mut Realtime, u64)) {
        act(&mut self.realtime, self.now);
        while let Some(output) = self.realtime.poll_output() {
            if let Output::Connect { epoch, .. } = output {
                self.epoch = epoch;
            }
            self.outputs.push(output);
        }
        while let Some(event) = self.realtime.poll_event() {
            self.events.push(event);
        }
    }

    fn input(&mut self, input: Input) {
        self.act(|realtime, now| realtime.handle(now, input));
    }

    fn forget(&mut self) {
        self.outputs.clear();
        self.events.clear();
    }

    /// What was sent is still known, so that the server's part can go on.
    fn forget_events(&mut self) {
        self.events.clear();
    }

    fn give_token(&mut self, jwt: &str) {
        self.give_expiring(jwt, None);
    }

    fn give_expiring(&mut self, jwt: &str, expires_at: Option<u64>) {
        let jwt = jwt.to_owned();
        self.input(Input::Token(Some(Token { jwt, expires_at })));
    }

    fn open_socket(&mut self) {
        let epoch = self.epoch();
        self.input(Input::Opened { epoch });
    }

    fn close_socket(&mut self, code: u16) {
        let epoch = self.epoch();
        self.input(Input::Closed { epoch, code });
    }

    /// From the server, on the newest socket.
    fn frame(&mut self, frame: Value) {
        let epoch = self.epoch();
        let text = frame.to_string();
        self.input(Input::Text { epoch, text });
    }

    fn accept_join(&mut self) {
        let join = self.join_ref();
        let payload = json!({"status": "ok", "response": {"postgres_changes": []}});
        self.frame(json!([join, join, "realtime:room", "phx_reply", payload]));
    }

    fn refuse_join(&mut self, reason: &str) {
        let join = self.join_ref();
        let payload = json!({"status": "error", "response": {"reason": reason}});
        self.frame(json!([join, join, "realtime:room", "phx_reply", payload]));
    }

    fn say_system(&mut self, extension: &str, status: &str, message: &str) {
        let join = self.join_ref();
        let payload = json!({"extension": extension, "status": status, "message": message, "channel": TOPIC});
        self.frame(json!([join, null, "realtime:room", "system", payload]));
    }

    fn say_replication(&mut self) {
        self.say_system("system", "ok", "Replication connection established");
    }

    fn answer_heartbeats(&mut self) {
        let beats: Vec<Value> = self.sent("heartbeat").into_iter().collect();
        for beat in beats {
            let reply = json!({"status": "ok", "response": {}});
            self.frame(json!([null, beat[1], "phoenix", "phx_reply", reply]));
        }
    }

    /// Runs every deadline up to `ms` from now.
    fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        for _ in 0..10_000 {
            match self.realtime.poll_timeout() {
                Some((at, _)) if at <= end => {
                    self.now = self.now.max(at);
                    self.act(|realtime, now| realtime.handle_timeout(now));
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("the deadlines do not come to rest");
    }

    fn next_deadline(&self) -> (u64, Reason) {
        let (at, reason) = self.realtime.poll_timeout().expect("a deadline");
        (at.saturating_sub(self.now), reason)
    }

    /// Of the newest socket.
    fn epoch(&self) -> u32 {
        self.epoch
    }

    /// All text frames of that Phoenix event in what came out.
    fn sent(&self, event: &str) -> Vec<Value> {
        let frames = self.outputs.iter().filter_map(|output| match output {
            Output::SendText { text, .. } => serde_json::from_str::<Value>(text).ok(),
            _ => None,
        });
        frames.filter(|frame| frame[3] == event).collect()
    }

    fn join_ref(&self) -> Value {
        let joins = self.sent("phx_join");
        match joins.last() {
            Some(join) => join[0].clone(),
            // Forgotten already; a rig has joined once by then.
            None => json!("1"),
        }
    }

    fn connects(&self) -> usize {
        let connect = |output: &&Output| matches!(output, Output::Connect { .. });
        self.outputs.iter().filter(connect).count()
    }

    fn asked_for_token(&self) -> bool {
        self.outputs.contains(&Output::NeedToken)
    }

    fn closed(&self) -> bool {
        let epoch = self.epoch();
        self.outputs.contains(&Output::Close { epoch })
    }

    fn refusals(&self) -> Vec<(JoinError, Option<u64>)> {
        let refusal = |event: &Event| match event {
            Event::ChannelRefused { error, retry_at, .. } => Some((*error, *retry_at)),
            _ => None,
        };
        self.events.iter().filter_map(refusal).collect()
    }

    fn gaps(&self) -> usize {
        let gap = |event: &&Event| matches!(event, Event::MaybeGap { .. });
        self.events.iter().filter(gap).count()
    }
}

fn one_channel() -> BTreeMap<String, ChannelConfig> {
    BTreeMap::from([(TOPIC.to_owned(), database_broadcasts())])
}

fn database_broadcasts() -> ChannelConfig {
    ChannelConfig { private: true, replication_ready: true, ..ChannelConfig::default() }
}

fn table_changes() -> ChannelConfig {
    ChannelConfig {
        postgres_changes: vec![PostgresBinding {
            event: "INSERT".into(),
            schema: "public".into(),
            table: "messages".into(),
            filter: Some("booking_id=eq.1".into()),
        }],
        ..ChannelConfig::default()
    }
}

fn ready() -> Event {
    Event::ChannelReady { topic: TOPIC.into() }
}

fn lost() -> Event {
    Event::ChannelLost { topic: TOPIC.into() }
}
