//! The live channel: its codec on bytes, and its machine through a whole life.

use surechat::{
    json::{Value, number, print, text},
    realtime::{ChannelConfig, Config, Event, Input, Output, Realtime, Token, codec},
};

/// The one topic that is wanted.
const TOPIC: &str = "chat-user:u1";
const SIDE: &str = "chat:b1";
/// A machine that wants to be called again and again at the same time never rests.
const RESTLESS: usize = 64;

pub fn codec(data: &[u8]) {
    let _ = codec::decode_binary(data);
    let mut life = Life::new();
    life.feed(Input::Binary { epoch: life.epoch, bytes: data.to_vec() });
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = codec::decode_text(text);
        life.feed(Input::Text { epoch: life.epoch, text: text.to_owned() });
    }
    life.wait(120_000);
}

/// A list of steps: `{"text": frame}`, `{"wait": ms}`, `{"closed": code}`, `{"opened": true}`, `{"token": jwt or null}`,
/// `{"online": bool}`, `{"woke": true}`, `{"desired": topic or null}`, `{"stop": true}`, `{"start": true}`.
pub fn socket(data: &[u8]) {
    let Some(steps) = super::scenario(data) else { return };
    let mut life = Life::new();
    for step in steps.as_array().unwrap_or_default().iter().take(64) {
        life.step(step);
    }
    life.wait(300_000);
}

struct Life {
    realtime: Realtime,
    now: u64,
    epoch: u32,
    ready: bool,
}

impl Life {
    /// Joined and ready: refs 1 and, after a while, those of its heartbeats.
    fn new() -> Self {
        let realtime = Realtime::new(Config::new("ws://localhost:1/realtime/v1/websocket", "key"), 1);
        let mut life = Self { realtime, now: 1_000, epoch: 0, ready: false };
        life.realtime.set_desired(life.now, [(TOPIC.to_owned(), channel()), (SIDE.to_owned(), side())]);
        life.realtime.start(life.now);
        life.settle();
        life.feed(Input::Token(Some(Token { jwt: "t".into(), expires_at: Some(3_600_000) })));
        life.feed(Input::Opened { epoch: life.epoch });
        let topic = ["realtime:", TOPIC].concat();
        for text in [
            format!(r#"["1","1","{topic}","phx_reply",{{"status":"ok","response":{{}}}}]"#),
            format!(
                r#"["1",null,"{topic}","system",{{"extension":"system","status":"ok","message":"Replication connection established"}}]"#
            ),
        ] {
            life.feed(Input::Text { epoch: life.epoch, text });
        }
        assert!(life.ready, "two signals make a channel ready");
        life
    }

    fn step(&mut self, step: &Value) {
        let epoch = self.epoch;
        let Some((name, value)) = step.as_object().and_then(|step| step.fields().first()) else { return };
        match name.as_str() {
            "text" => {
                let text = value.as_str().map_or_else(|| print(value), str::to_owned);
                self.feed(Input::Text { epoch, text });
            }
            "wait" => self.wait(value.as_u64().unwrap_or(0).min(600_000)),
            "opened" => self.feed(Input::Opened { epoch }),
            "closed" => self.feed(Input::Closed { epoch, code: number(step, name).unwrap_or(0) as u16 }),
            "token" => {
                let token =
                    value.as_str().map(|jwt| Token { jwt: jwt.to_owned(), expires_at: number(step, "expires_at") });
                self.feed(Input::Token(token));
            }
            "online" => self.feed(if value.as_bool() == Some(false) { Input::Offline } else { Input::Online }),
            "woke" => self.feed(Input::Woke),
            "desired" => {
                let desired = text(step, name).map(|topic| (topic.to_owned(), channel()));
                let desired = desired.into_iter().chain([(SIDE.to_owned(), side())]);
                self.realtime.set_desired(self.now, desired);
                self.settle();
            }
            "stop" => {
                self.realtime.stop(self.now);
                self.settle();
                assert_eq!(self.realtime.poll_timeout(), None, "nothing is due after a stop");
            }
            "start" => {
                self.realtime.start(self.now);
                self.settle();
            }
            _ => {}
        }
    }

    fn feed(&mut self, input: Input) {
        self.realtime.handle(self.now, input);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(output) = self.realtime.poll_output() {
            match output {
                Output::Connect { epoch, .. } => self.epoch = epoch,
                Output::SendText { text, .. } => assert!(codec::decode_text(&text).is_ok(), "we send frames: {text}"),
                Output::Close { .. } | Output::NeedToken => {}
            }
        }
        while let Some(event) = self.realtime.poll_event() {
            match event {
                Event::ChannelReady { topic } if topic == TOPIC => {
                    assert!(!self.ready, "a channel is lost before it is ready again");
                    self.ready = true;
                }
                Event::ChannelLost { topic } if topic == TOPIC => self.ready = false,
                _ => {}
            }
        }
        self.ready &= self.realtime.is_ready(TOPIC);
    }

    fn wait(&mut self, ms: u64) {
        let end = self.now.saturating_add(ms);
        let mut calls = 0;
        while let Some((at, reason)) = self.realtime.poll_timeout().filter(|(at, _)| *at <= end) {
            calls = if at > self.now { 0 } else { calls + 1 };
            assert!(calls < RESTLESS, "it never rests: {reason:?}");
            self.now = self.now.max(at);
            self.realtime.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }
}

/// Who is there and who types.
fn side() -> ChannelConfig {
    ChannelConfig { private: true, side: true, presence_key: Some("u1".into()), ..ChannelConfig::default() }
}

fn channel() -> ChannelConfig {
    ChannelConfig { private: true, replication_ready: true, ..ChannelConfig::default() }
}
