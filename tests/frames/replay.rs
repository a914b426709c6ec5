//! Plays one recorded client's part with the machine: where that client joined, the machine is
//! told to desire; what the server said to it, the machine hears at the recorded time, with the
//! refs that the machine chose.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};
use surechat::realtime::{ChannelConfig, Config, Event, Input, Output, PostgresBinding, Realtime, SocketState, Token};

pub struct Line {
    pub at: u64,
    pub conn: u64,
    pub what: What,
}

pub enum What {
    Connect,
    Open,
    Send(Value),
    /// A text that is no frame, or a binary one.
    SendOther,
    Text(String),
    Binary(Vec<u8>),
    Close(u16),
}

pub fn recording(name: &str) -> Vec<Line> {
    let path = format!("{}/tests/frames/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().filter_map(line).collect()
}

fn line(text: &str) -> Option<Line> {
    let line: Value = serde_json::from_str(text).expect("JSON lines");
    let data = || line["data"].as_str().map(as_version_2);
    let bytes = || line["binary_b64"].as_str().map(base64);
    let what = match line["dir"].as_str()? {
        "connect" => What::Connect,
        "open" => What::Open,
        "send" => match data().and_then(|text| serde_json::from_str(&text).ok()) {
            Some(frame @ Value::Array(_)) => What::Send(frame),
            _ => What::SendOther,
        },
        "recv" => match (data(), bytes()) {
            (Some(text), _) => What::Text(text),
            (None, Some(bytes)) => What::Binary(bytes),
            (None, None) => panic!("an empty frame"),
        },
        "close" => What::Close(u16::try_from(line["code"].as_u64()?).ok()?),
        "http" | "error" | "note" => return None,
        other => panic!("{other}?"),
    };
    Some(Line { at: line["t_ms"].as_f64()? as u64, conn: line["conn"].as_u64()?, what })
}

/// Protocol 1.0.0 has the same fields as an object.
fn as_version_2(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(Value::Object(frame)) => {
            let field = |name: &str| frame.get(name).cloned().unwrap_or_default();
            let fields = ["join_ref", "ref", "topic", "event", "payload"].map(field);
            Value::Array(fields.into()).to_string()
        }
        _ => text.to_owned(),
    }
}

fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes().take_while(|byte| *byte != b'=') {
        bits = (bits << 6) | u32::from(value(byte));
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

pub struct Replay {
    pub realtime: Realtime,
    pub now: u64,
    epoch: u32,
    desired: BTreeMap<String, ChannelConfig>,
    joined_here: BTreeSet<String>,
    /// From the recording's refs to the machine's.
    refs: BTreeMap<String, String>,
    tokens: u32,
    /// Desire only what was joined last.
    one_at_a_time: bool,
    pub events: Vec<(u64, Event)>,
    pub outputs: Vec<(u64, Output)>,
}

impl Replay {
    pub fn new() -> Self {
        let config = Config::new("ws://127.0.0.1:4000/realtime/v1/websocket", "key");
        Replay {
            realtime: Realtime::new(config, 1),
            now: 0,
            epoch: 0,
            desired: BTreeMap::new(),
            joined_here: BTreeSet::new(),
            refs: BTreeMap::new(),
            tokens: 0,
            one_at_a_time: false,
            events: Vec::new(),
            outputs: Vec::new(),
        }
    }

    pub fn one_at_a_time() -> Self {
        Replay { one_at_a_time: true, ..Replay::new() }
    }

    /// The whole life of these sockets, as of one client.
    pub fn of(name: &str, conns: &[u64]) -> Self {
        let mut replay = Replay::new();
        replay.play(name, conns, u64::MAX);
        replay
    }

    /// From where the clock stands until that time of the recording.
    pub fn play(&mut self, name: &str, conns: &[u64], until: u64) {
        let from = self.now;
        let lines = recording(name);
        for line in lines.iter().filter(|line| conns.contains(&line.conn)) {
            if (from..until).contains(&line.at) {
                self.run_to(line.at);
                self.play_line(&lines, line);
            }
        }
    }

    fn play_line(&mut self, lines: &[Line], line: &Line) {
        let epoch = self.epoch;
        match &line.what {
            What::Connect => self.connect(lines, line.conn),
            What::Open => self.opened(),
            What::Send(frame) => self.play_send(frame),
            What::SendOther => {}
            What::Text(text) => {
                let text = self.with_our_refs(text);
                self.input(Input::Text { epoch, text });
            }
            What::Binary(bytes) => {
                let bytes = bytes.clone();
                self.input(Input::Binary { epoch, bytes });
            }
            What::Close(code) => self.input(Input::Closed { epoch, code: *code }),
        }
    }

    /// The machine connects in its own time, and only when it desires something: what is joined
    /// first on this socket, or else a topic that the server never hears of.
    fn connect(&mut self, lines: &[Line], conn: u64) {
        let joins = lines.iter().filter(|line| line.conn == conn);
        let first = joins.filter_map(|line| match &line.what {
            What::Send(frame) => join(frame),
            _ => None,
        });
        if self.desired.is_empty() {
            let unknown = || ("unknown".to_owned(), ChannelConfig::default());
            self.desired.extend([first.into_iter().next().unwrap_or_else(unknown)]);
        }
        self.joined_here.clear();
        self.desire();
        self.act(|realtime, now| realtime.start(now));
        while self.realtime.state() != SocketState::Connecting {
            let (at, _) = self.realtime.poll_timeout().expect("a deadline");
            self.run_to(at);
        }
    }

    fn opened(&mut self) {
        let epoch = self.epoch;
        self.input(Input::Opened { epoch });
    }

    fn play_send(&mut self, frame: &Value) {
        match frame[3].as_str() {
            Some("phx_join") => self.play_join(frame),
            Some("phx_leave") => {
                let topic = frame[2].as_str().unwrap_or_default();
                self.desired.remove(topic.trim_start_matches("realtime:"));
                self.desired.insert("unknown".into(), ChannelConfig::default());
                self.desire();
            }
            Some("access_token") => self.give_token(),
            _ => {}
        }
    }

    fn play_join(&mut self, frame: &Value) {
        let Some((topic, mut config)) = join(frame) else {
            return;
        };
        if self.one_at_a_time {
            self.desired.retain(|desired, _| *desired == topic);
        }
        let doubled = !self.joined_here.insert(topic.clone());
        // The machine joins twice only for another config.
        config.broadcast_ack ^= doubled;
        self.desired.insert(topic.clone(), config);
        self.desire();
        // Not every recording has the opening, and ours may be another socket by now.
        if self.realtime.state() == SocketState::Connecting {
            self.opened();
        }
        let Some(ours) = self.sent("phx_join", &topic).pop() else {
            return;
        };
        let join_ref = |join: &Value| join[0].as_str().unwrap_or_default().to_owned();
        // The machine may hold its own back.
        if !self.refs.values().any(|known| *known == join_ref(&ours)) {
            self.refs.insert(join_ref(frame), join_ref(&ours));
            if !doubled {
                let theirs = normalised(&frame[4]["config"]);
                assert_eq!(ours[4]["config"], theirs, "the join of {topic}");
            }
        }
    }

    fn desire(&mut self) {
        let desired = self.desired.clone();
        self.act(|realtime, now| realtime.set_desired(now, desired));
    }

    pub fn give_token(&mut self) {
        self.tokens += 1;
        let jwt = format!("jwt {}", self.tokens);
        let expires_at = None;
        self.input(Input::Token(Some(Token { jwt, expires_at })));
    }

    pub fn input(&mut self, input: Input) {
        self.act(|realtime, now| realtime.handle(now, input));
    }

    pub fn run_to(&mut self, end: u64) {
        while let Some((at, _)) = self.realtime.poll_timeout()
            && at <= end
        {
            self.now = self.now.max(at);
            self.act(|realtime, now| realtime.handle_timeout(now));
        }
        self.now = self.now.max(end);
    }

    fn act(&mut self, act: impl FnOnce(&mut Realtime, u64)) {
        act(&mut self.realtime, self.now);
        while let Some(event) = self.realtime.poll_event() {
            self.events.push((self.now, event));
        }
        while let Some(output) = self.realtime.poll_output() {
            self.outputs.push((self.now, output.clone()));
            match output {
                Output::NeedToken => self.give_token(),
                Output::Connect { epoch, .. } => self.epoch = epoch,
                Output::SendText { epoch, text } => {
                    let frame: Value = serde_json::from_str(&text).expect("JSON of our own");
                    if frame[3] == "heartbeat" {
                        let reply = json!([null, frame[1], "phoenix", "phx_reply", {}]);
                        let text = reply.to_string();
                        self.input(Input::Text { epoch, text });
                    }
                }
                Output::Close { .. } => {}
            }
        }
    }

    fn with_our_refs(&self, text: &str) -> String {
        let Ok(Value::Array(mut frame)) = serde_json::from_str(text) else {
            return text.to_owned();
        };
        for field in frame.iter_mut().take(2) {
            if let Some(theirs) = field.as_str() {
                // Pushes of the recorded client alone must not meet a ref of ours.
                let foreign = || format!("9000{theirs}");
                let ours = self.refs.get(theirs).cloned().unwrap_or_else(foreign);
                *field = ours.into();
            }
        }
        Value::Array(frame).to_string()
    }

    pub fn sent(&self, event: &str, topic: &str) -> Vec<Value> {
        let topic = format!("realtime:{topic}");
        let frames = self.outputs.iter().filter_map(|(_, output)| match output {
            Output::SendText { text, .. } => serde_json::from_str::<Value>(text).ok(),
            _ => None,
        });
        frames.filter(|frame| frame[2] == topic && frame[3] == event).collect()
    }

    pub fn connects(&self) -> Vec<u64> {
        let connect = |(at, output): &(u64, Output)| matches!(output, Output::Connect { .. }).then_some(*at);
        self.outputs.iter().filter_map(connect).collect()
    }

    pub fn token_requests(&self) -> Vec<u64> {
        let request = |(at, output): &(u64, Output)| (*output == Output::NeedToken).then_some(*at);
        self.outputs.iter().filter_map(request).collect()
    }

    /// When it happened, for each time that it did.
    pub fn times(&self, wanted: impl Fn(&Event) -> bool) -> Vec<u64> {
        let hits = self.events.iter().filter(|(_, event)| wanted(event));
        hits.map(|(at, _)| *at).collect()
    }

    pub fn ready_at(&self, wanted: &str) -> Vec<u64> {
        self.times(|event| matches!(event, Event::ChannelReady { topic } if topic == wanted))
    }

    pub fn lost_at(&self, wanted: &str) -> Vec<u64> {
        self.times(|event| matches!(event, Event::ChannelLost { topic } if topic == wanted))
    }

    pub fn changes(&self) -> Vec<(u64, Value)> {
        let change = |(at, event): &(u64, Event)| match event {
            Event::Change { change, .. } => Some((*at, change.into())),
            _ => None,
        };
        self.events.iter().filter_map(change).collect()
    }
}

/// What a recorded join asks for; `None` for joins that nobody of us would send.
fn join(frame: &Value) -> Option<(String, ChannelConfig)> {
    let topic = frame[2].as_str()?.strip_prefix("realtime:")?;
    let config = frame[4].get("config")?;
    frame[0].as_str().filter(|_| frame[3] == "phx_join")?;
    let is = |value: &Value| value == &Value::Bool(true);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let binding = |binding: &Value| {
        Some(PostgresBinding {
            event: text(&binding["event"])?,
            schema: text(&binding["schema"]).unwrap_or_default(),
            table: text(&binding["table"]).unwrap_or_default(),
            filter: text(&binding["filter"]),
        })
    };
    let bindings = config["postgres_changes"].as_array()?;
    let config = ChannelConfig {
        private: is(&config["private"]),
        side: false,
        broadcast_ack: is(&config["broadcast"]["ack"]),
        broadcast_self: is(&config["broadcast"]["self"]),
        replication_ready: false,
        presence_key: text(&config["presence"]["key"]).filter(|_| is(&config["presence"]["enabled"])),
        postgres_changes: bindings.iter().filter_map(binding).collect(),
    };
    Some((topic.to_owned(), config))
}

/// As we would write it: no key without presence, and bindings with all their fields.
fn normalised(config: &Value) -> Value {
    let mut config = config.clone();
    if config["presence"]["enabled"] != Value::Bool(true) {
        config["presence"]["key"] = "".into();
    }
    for binding in config["postgres_changes"].as_array_mut().into_iter().flatten() {
        for field in ["schema", "table"] {
            if binding.get(field).is_none() {
                binding[field] = "".into();
            }
        }
    }
    config
}
