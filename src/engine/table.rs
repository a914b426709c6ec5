//! Where the app's own table is read: windows of it instead of `chat_sync`, and changes of it instead of an inbox.

use super::{Effect, Engine, Request, Shown};
use crate::{
    json::{Value, number},
    realtime::{ChannelConfig, PostgresBinding},
    rest::{OF_TABLE, OwnTable, Start},
    store::{Key, Operation, Table},
    sync::Conversation,
};

/// Of the channels that tell a conversation's changes.
const TOPIC: &str = "surechat-rows:";
/// Rows that a conversation's cache may have when it is read; of more than that, half stay.
const MAX_CACHED: usize = 1_000;
/// The server lets one connection have a hundred.
const MAX_CHANNELS: usize = 90;
pub(super) const UNREADABLE: &str =
    "unable to read the app's table; because a row has no uuid or no time of the years 1970 to 2104";

impl Engine {
    pub(super) fn reads_table(&self) -> bool {
        self.config.source.table.is_some()
    }

    /// A record of the cache, unless the app had another way in when it was written.
    pub(super) fn known(&self, record: &Value) -> Option<Conversation> {
        let of_table = self.config.source.table.as_ref().map(OwnTable::incarnation);
        let known = Conversation::from_record(record).filter(|held| match &of_table {
            Some(of_table) => held.incarnation == *of_table,
            None => !held.incarnation.starts_with(OF_TABLE),
        });
        // What is being deleted was read before that.
        let goes = |id: &String| {
            self.requests.values().any(|it| matches!(it, Request::MakeRoom { gone } if gone.contains(id)))
        };
        known.filter(|held| !goes(&held.id) && !self.is_withdrawn(&held.id))
    }

    pub(super) fn read_table(&mut self, jwt: String) {
        let Some(table) = &self.config.source.table else { return };
        let Some((id, start)) = self.sync.take_window(self.now.mono) else { return self.sync.abandon() };
        let http = table.window(self.config.target(&jwt, &self.user_id), id, &start);
        let window = Some((id.to_owned(), start));
        let request = self.expect(Request::Sync { jwt, window });
        self.effects.push_back(Effect::Http { request, http });
    }

    pub(super) fn window_answered(&mut self, id: &str, start: &Start, body: &Value, server_ms: Option<u64>) {
        let table = self.config.source.table.as_ref();
        let Some(window) = table.and_then(|table| table.read_window(body, id, &self.user_id, start)) else {
            self.sync.failed(self.now.mono);
            self.problem(Some(id.to_owned()), "unreadable_row", UNREADABLE);
            return self.loaded(id);
        };
        if let Some((id, synced)) = self.sync.window_answered(self.now.mono, start, window, server_ms) {
            self.synced(id, synced);
        }
    }

    /// Places count no rows, so the cache is cut where it is read.
    pub(super) fn newest_of_table<'a>(&self, from: u64, rows: &'a [Value]) -> (u64, &'a [Value]) {
        if !self.reads_table() || rows.len() <= MAX_CACHED {
            return (from, rows);
        }
        let newest = rows.get(rows.len() - MAX_CACHED / 2..).unwrap_or_default();
        (newest.first().and_then(|row| number(row, "seq")).unwrap_or(from), newest)
    }

    pub(super) fn shorten_table(&mut self, id: &str, low: u64) {
        let Some(held) = self.sync.get_mut(id).filter(|held| held.is_settled() && held.low < low) else { return };
        held.low = low;
        let place = |seq| Key::Place(id.to_owned(), seq);
        let older = Operation::DeleteRange { table: Table::Messages, from: place(0), to: place(low - 1) };
        self.save(id, vec![older]);
    }

    // ---- live

    /// One channel for each conversation that anybody looks at, beside the one that says whether there is a connection.
    pub(super) fn join_conversations(&mut self) {
        if !self.reads_table() || self.role.generation().is_none() {
            return;
        }
        let wanted: Vec<String> = self.sync.iter().map(|held| held.id.clone()).take(MAX_CHANNELS).collect();
        if wanted != self.joined {
            self.joined = wanted;
            self.desire_channels();
            self.sync.set_live(self.now.mono, false);
        }
    }

    /// `None` where no table is read.
    pub(super) fn table_channels(&self) -> Option<Vec<(String, ChannelConfig)>> {
        let table = self.config.source.table.as_ref()?;
        let mut desired = vec![(["chat-user:", &self.user_id].concat(), ChannelConfig::default())];
        desired.extend(self.joined.iter().map(|id| (topic_of(id), changes_of(table, id))));
        Some(desired)
    }

    pub(super) fn is_of_table(&self, topic: &str) -> bool {
        topic.starts_with(TOPIC)
    }

    pub(super) fn table_channel_changed(&mut self, topic: &str) {
        let now = self.now.mono;
        if let Some(conversation) = topic.strip_prefix(TOPIC).and_then(|id| self.sync.get_mut(id)) {
            conversation.due = true;
        }
        self.table_is_live(now);
    }

    /// Live is what has all its channels.
    pub(super) fn table_is_live(&mut self, now: u64) {
        let live = self.health.is_ready() && self.joined.iter().all(|id| self.realtime.is_ready(&topic_of(id)));
        self.sync.set_live(now, live);
        if live {
            self.clear_problem("realtime_refused");
        }
    }

    /// A row was inserted or updated. What cannot be read is fetched.
    pub(super) fn on_change(&mut self, topic: &str, change: &Value, whole: bool) {
        let (Some(id), Some(table)) = (topic.strip_prefix(TOPIC), &self.config.source.table) else { return };
        let record = &change["record"];
        let at = table.time(record);
        let row = if whole { table.read(record, id, &self.user_id) } else { None };
        // Of what is not on this screen it is not known which place it has among others of the same time.
        let shown = self.shown.get(id).filter(|shown| shown.low > 0 && Some(shown.low) <= at);
        match (row, shown) {
            (Some(mut row), Some(Shown { timeline, .. })) => {
                let place = timeline.place(&row.id, row.seq);
                // Of the same time as another: only a window has the right order.
                let moved = place != row.seq;
                row.seq = place;
                if moved && let Some(conversation) = self.sync.get_mut(id) {
                    conversation.due = true;
                }
                self.take_in(row);
            }
            _ => {
                if let Some(conversation) = self.sync.get_mut(id) {
                    conversation.look_back(at);
                    self.sync.after_a_moment(self.now.mono);
                }
            }
        }
    }
}

fn topic_of(conversation_id: &str) -> String {
    let mut topic = String::from(TOPIC);
    topic.push_str(conversation_id);
    topic
}

fn changes_of(table: &OwnTable, conversation_id: &str) -> ChannelConfig {
    let mut filter = table.conversation_id.clone();
    filter.push_str("=eq.");
    filter.push_str(conversation_id);
    let binding =
        PostgresBinding { event: "*".into(), schema: "public".into(), table: table.name.clone(), filter: Some(filter) };
    ChannelConfig { postgres_changes: vec![binding], ..ChannelConfig::default() }
}
