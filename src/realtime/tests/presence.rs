//! Side channels: who is here, what they broadcast, and that none of it disturbs the others.

use super::*;

const SIDE: &str = "side";

fn side() -> ChannelConfig {
    ChannelConfig { private: true, side: true, presence_key: Some("me".into()), ..ChannelConfig::default() }
}

fn sides(topics: &[&str]) -> Vec<(String, ChannelConfig)> {
    let main = (TOPIC.to_owned(), database_broadcasts());
    topics.iter().map(|topic| ((*topic).to_owned(), side())).chain([main]).collect()
}

impl Rig {
    fn want(&mut self, topics: &[&str]) {
        self.act(|realtime, now| realtime.set_desired(now, sides(topics)));
    }

    fn join_of(&self, topic: &str) -> Option<Value> {
        let topic = format!("realtime:{topic}");
        self.sent("phx_join").into_iter().rfind(|frame| frame[2] == topic.as_str()).map(|frame| frame[0].clone())
    }

    fn reply_to_join(&mut self, topic: &str, payload: Value) {
        let join = self.join_of(topic).expect("a join");
        self.frame(json!([join, join, format!("realtime:{topic}"), "phx_reply", payload]));
    }

    fn accept(&mut self, topic: &str) {
        self.reply_to_join(topic, json!({"status": "ok", "response": {"postgres_changes": []}}));
    }

    fn refuse(&mut self, topic: &str, reason: &str) {
        self.reply_to_join(topic, json!({"status": "error", "response": {"reason": reason}}));
    }

    /// Both channels are ready.
    fn side_ready() -> Self {
        let mut rig = Rig::ready();
        rig.want(&[SIDE]);
        rig.accept(SIDE);
        rig
    }
}

#[test]
fn a_side_channel_joins_when_the_others_are_ready() {
    let mut rig = Rig::new(sides(&[SIDE]).into_iter().collect());
    rig.give_token("jwt");
    rig.open_socket();
    rig.run(5_000);
    assert_eq!(rig.join_of(SIDE), None);
    rig.reply_to_join(TOPIC, json!({"status": "ok", "response": {"postgres_changes": []}}));
    rig.say_replication();
    assert_eq!(rig.join_of(SIDE), None, "not everybody at once");
    rig.run(1_500);
    assert!(rig.join_of(SIDE).is_some());
}

#[test]
fn a_side_channel_that_comes_later_joins_at_once_and_says_that_we_are_here() {
    let mut rig = Rig::ready();
    rig.want(&[SIDE]);
    let join = rig.sent("phx_join").pop().expect("a join");
    assert_eq!(join[4]["config"]["presence"], json!({"enabled": true, "key": "me"}));
    rig.accept(SIDE);
    assert!(rig.realtime.is_ready(SIDE));
    let tracks = rig.sent("presence");
    assert_eq!(tracks.len(), 1);
    assert_eq!(tracks[0][0], join[0]);
    assert_eq!(tracks[0][4], json!({"type": "presence", "event": "track", "payload": {}}));
}

#[test]
fn after_a_cut_we_are_here_again() {
    let mut rig = Rig::side_ready();
    rig.forget();
    rig.close_socket(1006);
    rig.run(2_000);
    rig.open_socket();
    rig.accept_join();
    rig.say_replication();
    rig.run(1_500);
    rig.accept(SIDE);
    assert_eq!(rig.sent("presence").len(), 1);
}

#[test]
fn the_server_hears_of_us_no_more_often_than_it_allows() {
    let mut rig = Rig::ready();
    for n in 0..9 {
        let topic = format!("side {n}");
        rig.want(&[&topic]);
        rig.accept(&topic);
    }
    assert_eq!(rig.sent("presence").len(), 4);
    rig.run(25_000);
    rig.answer_heartbeats();
    assert_eq!(rig.sent("presence").len(), 4);
    rig.run(5_000);
    let tracked: Vec<Value> = rig.sent("presence").into_iter().map(|frame| frame[2].clone()).collect();
    assert_eq!(tracked.len(), 5, "the one that is still wanted");
    assert_eq!(tracked[4], "realtime:side 8");
}

#[test]
fn a_broadcast_goes_out_on_a_ready_channel_only() {
    let mut rig = Rig::ready();
    rig.act(|realtime, _| realtime.broadcast(SIDE, "typing", json!({"on": true})));
    rig.want(&[SIDE]);
    rig.act(|realtime, _| realtime.broadcast(SIDE, "typing", json!({"on": true})));
    assert!(rig.sent("broadcast").is_empty());
    rig.accept(SIDE);
    rig.act(|realtime, _| realtime.broadcast(SIDE, "typing", json!({"on": true})));
    let frames = rig.sent("broadcast");
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0][2], "realtime:side");
    assert_eq!(frames[0][4], json!({"type": "broadcast", "event": "typing", "payload": {"on": true}}));
}

#[test]
fn a_side_channel_that_is_refused_harms_no_other() {
    let unauthorized = "Unauthorized: You do not have permissions to read from this Channel topic: side";
    for (reason, at_least) in [
        (unauthorized, 60_000),
        ("ClientJoinRateLimitReached: Too many joins per second", 30_000),
        ("RealtimeDisabledForTenant: x", 300_000),
        ("Unknown Error on Channel", 0),
    ] {
        let mut rig = Rig::ready();
        rig.want(&[SIDE]);
        rig.refuse(SIDE, reason);
        let Some((_, Some(retry_at))) = rig.refusals().pop() else { panic!("{reason}: {:?}", rig.events) };
        assert!(retry_at - rig.now >= at_least, "{reason}");
        assert!(rig.realtime.is_ready(TOPIC) && !rig.closed() && !rig.asked_for_token(), "{reason}");

        rig.forget();
        rig.close_socket(1001);
        rig.run(2_000);
        rig.open_socket();
        assert!(rig.join_of(TOPIC).is_some(), "{reason}: the others do not wait");
    }
}

#[test]
fn a_side_channel_that_is_closed_for_its_presence_rests_alone() {
    let mut rig = Rig::side_ready();
    let join = rig.join_of(SIDE);
    let payload = json!({"extension": "system", "status": "error", "message": "Client presence rate limit exceeded", "channel": SIDE});
    rig.frame(json!([join, null, "realtime:side", "system", payload]));
    rig.frame(json!([join, join, "realtime:side", "phx_close", {}]));
    assert!(rig.realtime.is_ready(TOPIC) && !rig.realtime.is_ready(SIDE));
    let joins = rig.sent("phx_join").len();
    rig.run(20_000);
    assert_eq!(rig.sent("phx_join").len(), joins);
    for _ in 0..40 {
        rig.run(1_000);
        rig.answer_heartbeats();
    }
    assert_eq!(rig.sent("phx_join").len(), joins + 1);
}

#[test]
fn a_side_channel_whose_join_is_not_answered_leaves_the_socket_alone() {
    let mut rig = Rig::ready();
    rig.want(&[SIDE]);
    rig.run(12_000);
    assert!(!rig.closed() && rig.realtime.is_ready(TOPIC));
    assert_eq!(rig.sent("phx_leave").len(), 1);
    rig.run(2_000);
    assert_eq!(rig.connects(), 0);
}

#[test]
fn side_channels_alone_keep_no_socket_open() {
    let mut rig = Rig::open();
    rig.want(&[SIDE]);
    rig.refuse_join("ChannelRateLimitReached: Too many channels");
    assert!(rig.closed());
    assert_eq!(rig.realtime.poll_timeout(), None);
}
