//! The topics of conversations: who is there, and who types.

use surechat::{
    json::{Object, Value, list, object, text},
    people::conversation_of,
};

use super::World;
use crate::{TabId, faults::Fault, screen::View};

/// Typing that is not repeated ends by then, wherever it is shown.
const TYPING_MS: u64 = 10_000;

/// Somebody on the topic of a conversation.
#[derive(Clone)]
pub(super) struct Present {
    user: String,
    reference: String,
    /// The tab's socket; none for people whose browser is not in this world.
    socket: Option<(TabId, u32)>,
}

/// The topic of one conversation.
#[derive(Clone, Default)]
pub(super) struct Room {
    present: Vec<Present>,
    /// Counts who comes and goes.
    pub changes: usize,
    /// Who was last said to type, and when.
    typing: Vec<(String, u64)>,
}

impl World {
    /// A socket that just joined hears who is there.
    pub(super) fn tell_who_is_there(&mut self, id: TabId, epoch: u32, topic: &str) {
        let Some(conversation) = conversation_on(topic) else { return };
        let state = entries(self.rooms.get(conversation).map(|room| room.present.as_slice()).unwrap_or_default());
        self.frame(id, epoch, &frame(topic, "presence_state", state));
    }

    /// It says that its user is there.
    pub(super) fn tracked(&mut self, id: TabId, epoch: u32, topic: &str) {
        let (Some(conversation), Some(user)) = (conversation_on(topic), self.user_on(id, epoch, topic)) else { return };
        self.comes(conversation, user, Some((id, epoch)));
    }

    fn user_on(&mut self, id: TabId, epoch: u32, topic: &str) -> Option<String> {
        let jwt = self.join_of(id, epoch, topic)?.jwt.clone();
        crate::token::subject(&jwt)
    }

    pub(super) fn comes(&mut self, conversation: &str, user: String, socket: Option<(TabId, u32)>) {
        let room = self.rooms.entry(conversation.to_owned()).or_default();
        room.changes += 1;
        let present = Present { user, reference: room.changes.to_string(), socket };
        room.present.push(present.clone());
        self.tell_room(conversation, None, "presence_diff", diff(&[present], &[]));
    }

    /// Somebody whose browser is not in this world comes, or goes.
    pub(super) fn somebody_else_looks(&mut self, conversation: &str, user: &str) {
        let is_it = |present: &Present| present.socket.is_none() && present.user == user;
        match self.rooms.get(conversation).is_some_and(|room| room.present.iter().any(is_it)) {
            true => self.see_off(conversation, is_it),
            false => self.comes(conversation, user.to_owned(), None),
        }
    }

    /// Whose socket is gone, or has left the topic, is not there any more.
    pub(super) fn see_everybody_off(&mut self) {
        let gone = |world: &Self, conversation: &str, present: &Present| {
            present.socket.is_some_and(|key| {
                let joined = |topic: &str| conversation_on(topic) == Some(conversation);
                world.sockets.get(&key).is_none_or(|socket| !socket.topics().any(joined))
            })
        };
        let rooms = self.rooms.iter();
        let left: Vec<(String, String)> = rooms
            .flat_map(|(conversation, room)| room.present.iter().map(move |present| (conversation, present)))
            .filter(|(conversation, present)| gone(self, conversation, present))
            .map(|(conversation, present)| (conversation.clone(), present.reference.clone()))
            .collect();
        for (conversation, reference) in left {
            self.see_off(&conversation, |present| present.reference == reference);
        }
    }

    fn see_off(&mut self, conversation: &str, goes: impl Fn(&Present) -> bool) {
        let Some(room) = self.rooms.get_mut(conversation) else { return };
        let (gone, present): (Vec<_>, Vec<_>) = std::mem::take(&mut room.present).into_iter().partition(goes);
        room.present = present;
        room.changes += 1;
        self.tell_room(conversation, None, "presence_diff", diff(&[], &gone));
    }

    /// What one client says to the others on a topic.
    pub(super) fn relay(&mut self, id: TabId, epoch: u32, topic: &str, payload: &Value) {
        let Some(conversation) = conversation_on(topic).map(str::to_owned) else { return };
        if self.join_of(id, epoch, topic).is_none() || self.strikes(Fault::TypingLost) {
            return;
        }
        if let Some(user) = text(&payload["payload"], "user_id") {
            self.note_typing(&conversation, user);
        }
        self.tell_room(&conversation, Some((id, epoch)), "broadcast", payload.clone());
    }

    /// Somebody whose browser is not in this world types.
    pub(super) fn somebody_else_types(&mut self, conversation: &str, user: &str) {
        self.note_typing(conversation, user);
        let on = self.rng.u32(0..3) > 0;
        let payload = object(vec![("user_id", user.into()), ("on", on.into())]);
        let payload = object(vec![("type", "broadcast".into()), ("event", "typing".into()), ("payload", payload)]);
        self.tell_room(conversation, None, "broadcast", payload);
    }

    fn note_typing(&mut self, conversation: &str, user: &str) {
        let typing = &mut self.rooms.entry(conversation.to_owned()).or_default().typing;
        typing.retain(|(other, _)| other != user);
        typing.push((user.to_owned(), self.now));
    }

    fn tell_room(&mut self, conversation: &str, but: Option<(TabId, u32)>, event: &str, payload: Value) {
        let topic = format!("realtime:chat:{conversation}");
        let listening = self
            .sockets
            .iter()
            .filter(|(key, socket)| Some(**key) != but && socket.topics().any(|joined| joined == topic));
        let listening: Vec<(TabId, u32)> = listening.map(|(key, _)| *key).collect();
        let frame = frame(&topic, event, payload);
        for (tab, epoch) in listening {
            self.frame(tab, epoch, &frame);
        }
    }

    /// Nobody is shown who has left, or who is no member. In a hidden tab nobody sees it.
    pub(super) fn check_people(&self, user: &str, conversation: &str, view: &View) -> Result<(), String> {
        let held = self.server.conversation(conversation).filter(|held| held.member(user).is_some());
        let room = self.rooms.get(conversation);
        for person in &view.people {
            let shown = &person.user_id;
            if held.and_then(|held| held.member(shown)).is_none_or(|member| member.role != person.role) {
                return Err(format!("{shown} is shown as {} and is no such member", person.role));
            }
            let is_present = room.is_some_and(|room| room.present.iter().any(|present| present.user == *shown));
            let said = |(user, at): &(String, u64)| user == shown && at + TYPING_MS > self.now;
            let types = room.is_some_and(|room| room.typing.iter().any(said));
            if (person.typing || !is_present) && !types {
                return Err(format!("{shown} is shown, typing {}, and is there {is_present}", person.typing));
            }
        }
        Ok(())
    }
}

fn conversation_on(topic: &str) -> Option<&str> {
    topic.strip_prefix("realtime:").and_then(conversation_of)
}

fn frame(topic: &str, event: &str, payload: Value) -> Value {
    list([Value::Null, Value::Null, topic.into(), event.into(), payload].into_iter())
}

fn diff(joins: &[Present], leaves: &[Present]) -> Value {
    object(vec![("joins", entries(joins)), ("leaves", entries(leaves))])
}

/// By user, an entry for each place where that user is.
fn entries(present: &[Present]) -> Value {
    let mut users: Vec<&str> = present.iter().map(|present| present.user.as_str()).collect();
    users.sort_unstable();
    users.dedup();
    let mut entries = Object::default();
    for user in users {
        let of_user = present.iter().filter(|present| present.user == user);
        let metas = list(of_user.map(|present| object(vec![("phx_ref", present.reference.as_str().into())])));
        entries.push(user.to_owned(), object(vec![("metas", metas)]));
    }
    entries.into()
}
