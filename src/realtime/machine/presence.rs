//! What goes out beside joins and heartbeats: that we are here, and broadcasts to the others on a channel.

use super::Realtime;
use crate::json::{Object, Value, empty_object, fields};

/// The server closes a channel at the sixth presence call of a client within this time. One is left over for whoever
/// else uses the key.
const WINDOW_MS: u64 = 30_000;
const CALLS: usize = 4;

impl Realtime {
    /// To the others on a ready channel, and to nobody without one. Nothing says whether it arrives.
    pub fn broadcast(&mut self, topic: &str, event: &str, payload: Value) {
        let payload = fields! { "type": "broadcast", "event": event, "payload": payload };
        self.push(topic, "broadcast", payload);
    }

    /// Says on each channel that asks for it that we are here, as soon as the server lets us.
    pub(super) fn track(&mut self, now: u64) {
        self.tracks.retain(|at| at + WINDOW_MS > now);
        while self.tracks.len() < CALLS {
            let Some((topic, channel)) = self.channels.iter_mut().find(|(_, channel)| channel.wants_tracking()) else {
                return;
            };
            channel.tracked = true;
            let topic = topic.clone();
            self.tracks.push(now);
            let payload = fields! { "type": "presence", "event": "track", "payload": empty_object() };
            self.push(&topic, "presence", payload);
        }
    }

    pub(super) fn next_track(&self) -> Option<u64> {
        let waits = self.channels.values().any(|channel| channel.wants_tracking());
        self.tracks.first().filter(|_| waits).map(|at| at + WINDOW_MS)
    }

    fn push(&mut self, topic: &str, event: &str, payload: Object) {
        let Some(channel) = self.channels.get(topic).filter(|channel| channel.is_ready()) else { return };
        let join_ref = channel.join_ref();
        let reference = self.next_ref();
        self.send(topic, join_ref, reference, event, payload.into());
    }
}
