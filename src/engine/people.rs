//! Typing and presence: which topics are joined, what is said there, and what is shown of it. `people` has the rules.

use super::{Engine, Person, Phase, Update};
use crate::{
    json::{Value, fields, text},
    people::{conversation_of, topic_of},
    realtime::{ChannelConfig, Event},
    tabs::TabMessage,
};

/// Beats that piled up while the page slept are one reason to tell the leader again what is shown here.
const REPEAT_MS: u64 = 1_000;
/// Topics of conversations on one socket, far below the server's limit.
const MAX_TOPICS: usize = 20;
const TYPING: &str = "typing";

impl Engine {
    // ---- which topics

    /// What this tab shows to somebody.
    fn screen(&self) -> Vec<String> {
        let seen = self.phase == Phase::Running && self.closing.is_none() && self.visible && self.away.is_none();
        if seen { self.shown_ids() } else { Vec::new() }
    }

    /// Joins the topics of what is shown in any tab, or tells the leader what is shown here.
    pub(super) fn look(&mut self) {
        let mut screen = self.screen();
        if self.role.generation().is_none() {
            if self.said_screen != screen {
                self.said_screen = screen;
                self.tell_screen();
            }
            return;
        }
        screen.extend(self.screens.conversations().cloned());
        screen.sort_unstable();
        screen.dedup();
        screen.truncate(MAX_TOPICS);
        if self.topics != screen {
            for conversation_id in std::mem::replace(&mut self.topics, screen) {
                if !self.topics.contains(&conversation_id) {
                    self.people.forget(&conversation_id);
                }
            }
            self.desire_channels();
        }
    }

    pub(super) fn desire_channels(&mut self) {
        if let Some(desired) = self.table_channels() {
            return self.realtime.set_desired(self.now.mono, desired);
        }
        let inbox = ChannelConfig { private: true, replication_ready: true, ..ChannelConfig::default() };
        let open = ChannelConfig {
            private: true,
            side: true,
            presence_key: Some(self.user_id.clone()),
            ..ChannelConfig::default()
        };
        let mut desired = vec![(["chat-user:", &self.user_id].concat(), inbox)];
        desired.extend(self.topics.iter().map(|id| (topic_of(id), open.clone())));
        self.realtime.set_desired(self.now.mono, desired);
    }

    pub(super) fn tell_screen(&mut self) {
        self.screen_said_at = self.now.mono;
        self.tell(TabMessage::Screen { from: self.tab, conversations: self.said_screen.clone() });
    }

    /// At every beat of the leader.
    pub(super) fn tell_screen_again(&mut self) {
        if !self.said_screen.is_empty() && self.screen_said_at + REPEAT_MS <= self.now.mono {
            self.tell_screen();
        }
    }

    pub(super) fn hear_screen(&mut self, tab: u64, conversations: Vec<String>) {
        self.screens.told(self.now.mono, tab, conversations.clone());
        for conversation_id in conversations {
            self.tell_people(&conversation_id);
        }
    }

    /// Another tab leads from now on, or this one does: what was known came from whoever led before.
    pub(super) fn forget_people(&mut self) {
        self.people.forget_all();
        self.screens.forget_all();
        self.topics.clear();
        self.said_screen.clear();
    }

    // ---- what comes

    /// Events of the conversations' topics; all others are handed back.
    pub(super) fn on_side_event(&mut self, event: Event) -> Option<Event> {
        let conversation_id = match &event {
            Event::ChannelReady { topic }
            | Event::ChannelLost { topic }
            | Event::ChannelRefused { topic, .. }
            | Event::MaybeGap { topic }
            | Event::Broadcast { topic, .. }
            | Event::Change { topic, .. }
            | Event::PresenceState { topic, .. }
            | Event::PresenceDiff { topic, .. } => conversation_of(topic).map(str::to_owned),
            Event::State(_) | Event::TokenRejected => None,
        };
        let Some(id) = conversation_id else { return Some(event) };
        match event {
            Event::ChannelLost { .. } => self.people.forget(&id),
            Event::PresenceState { state, .. } => self.people.take_state(&id, &state),
            Event::PresenceDiff { joins, leaves, .. } => self.people.take_diff(&id, &joins, &leaves),
            Event::Broadcast { event, payload, .. } if event == TYPING => {
                if let (Some(user_id), Some(on)) = (text(&payload, "user_id"), payload["on"].as_bool()) {
                    self.people.take_typing(self.now.mono, &id, user_id, on);
                }
            }
            _ => return None,
        }
        self.tell_people(&id);
        None
    }

    /// A message of this user is there: what was typed has come.
    pub(super) fn wrote(&mut self, conversation_id: &str, user_id: &str) {
        if self.people.wrote(conversation_id, user_id) {
            self.tell_people(conversation_id);
        }
    }

    fn tell_people(&mut self, conversation_id: &str) {
        let shown_elsewhere = self.screens.conversations().any(|id| id == conversation_id);
        if let Some(generation) = self.role.generation().filter(|_| shown_elsewhere) {
            let people =
                self.people.list(conversation_id).map(|(user_id, types)| (user_id.to_owned(), types)).collect();
            let conversation_id = conversation_id.to_owned();
            self.tell(TabMessage::People { generation, conversation_id, people });
        }
    }

    pub(super) fn hear_people(&mut self, conversation_id: &str, people: Vec<(String, bool)>) {
        if self.shown.contains_key(conversation_id) {
            self.people.take_relayed(self.now.mono, conversation_id, people);
        }
    }

    // ---- what goes

    pub(super) fn set_typing(&mut self, conversation_id: &str, on: bool) {
        let shown = self.shown.contains_key(conversation_id) && self.visible;
        if let Some(on) = self.typist.set(self.now.mono, conversation_id, on && shown) {
            self.say_typing(conversation_id.to_owned(), on);
        }
    }

    pub(super) fn end_typing(&mut self) {
        for conversation_id in self.typist.end() {
            self.say_typing(conversation_id, false);
        }
    }

    pub(super) fn say_typing(&mut self, conversation_id: String, on: bool) {
        if self.role.generation().is_none() {
            return self.tell(TabMessage::Typing { conversation_id, on });
        }
        let payload: Value = fields! { "user_id": self.user_id.as_str(), "on": on }.into();
        self.realtime.broadcast(&topic_of(&conversation_id), TYPING, payload);
    }

    // ---- time

    pub(super) fn people_deadline(&self) -> Option<u64> {
        [self.people.deadline(), self.typist.deadline(), self.screens.deadline()].into_iter().flatten().min()
    }

    pub(super) fn people_timer(&mut self) {
        let now = self.now.mono;
        self.screens.expire(now);
        for (conversation_id, on) in self.typist.due(now) {
            self.say_typing(conversation_id, on);
        }
        for conversation_id in self.people.expire(now) {
            self.tell_people(&conversation_id);
        }
    }

    // ---- what is shown

    /// Only members are shown: what somebody says of others on the topic proves nothing.
    pub(super) fn publish_people(&mut self) {
        for (conversation_id, shown) in &mut self.shown {
            let conversation = self.sync.get(conversation_id);
            let mut people: Vec<Person> = Vec::new();
            for (user_id, typing) in self.people.list(conversation_id).filter(|(id, _)| *id != self.user_id) {
                if let Some(role) = conversation.and_then(|held| held.role(user_id)) {
                    people.push(Person { user_id: user_id.to_owned(), role: role.to_owned(), typing });
                }
            }
            if shown.said_people != people {
                shown.said_people.clone_from(&people);
                self.updates.push_back(Update::People { conversation_id: conversation_id.clone(), people });
            }
        }
    }
}
