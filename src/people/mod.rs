//! Who else is on the topic of an open conversation, who of them types, and who of us does.
//!
//! The server says who is there by presence, where each entry of a user has a `phx_ref`; typing comes as broadcasts that
//! have to be repeated. None of it is a promise: what is lost here ends by itself, and no message waits for it.
//!
//! One tab holds the topics of all. The others tell it what they show (`Screens`) and hear from it who is there.

mod screens;
mod typist;

use crate::json::{Object, Value, items, text};

pub use screens::Screens;
pub use typist::Typist;

/// Typing that is not repeated ends after this long.
const TYPING_MS: u64 = 6_000;
/// More of them on one topic are not kept.
const MAX_PEOPLE: usize = 200;

const PREFIX: &str = "chat:";

/// The topic of a conversation.
pub fn topic_of(conversation_id: &str) -> String {
    [PREFIX, conversation_id].concat()
}

/// The conversation of a topic; `None` for another kind of topic.
pub fn conversation_of(topic: &str) -> Option<&str> {
    topic.strip_prefix(PREFIX)
}

#[derive(Debug, Clone, Default)]
pub struct People {
    rooms: Vec<Room>,
}

#[derive(Debug, Clone, Default)]
struct Room {
    conversation_id: String,
    people: Vec<Person>,
    /// References that are gone: a leave may overtake what was said before it.
    left: Vec<String>,
}

#[derive(Debug, Clone)]
struct Person {
    user_id: String,
    /// One for each place where this user is present.
    refs: Vec<String>,
    typing_until: Option<u64>,
}

impl People {
    /// Who is there, all of them.
    pub fn take_state(&mut self, conversation_id: &str, state: &Value) {
        let room = self.room(conversation_id);
        for person in &mut room.people {
            person.refs.clear();
        }
        room.enter(state);
        room.people.retain(Person::is_there);
    }

    /// Who came and who left since.
    pub fn take_diff(&mut self, conversation_id: &str, joins: &Value, leaves: &Value) {
        let room = self.room(conversation_id);
        room.enter(joins);
        for (user_id, entry) in leaves.as_object().map(Object::fields).unwrap_or_default() {
            let left = items(entry, "metas").iter().filter_map(|meta| text(meta, "phx_ref")).map(str::to_owned);
            let from = room.left.len();
            room.left.extend(left);
            let Some(person) = room.people.iter_mut().find(|person| person.user_id == *user_id) else { continue };
            let left = room.left.get(from..).unwrap_or_default();
            person.refs.retain(|known| !left.contains(known));
            // Whoever is gone does not type any more either.
            if person.refs.is_empty() {
                person.typing_until = None;
            }
        }
        room.left.drain(..room.left.len().saturating_sub(MAX_PEOPLE));
        room.people.retain(Person::is_there);
    }

    pub fn take_typing(&mut self, now: u64, conversation_id: &str, user_id: &str, on: bool) {
        let room = self.room(conversation_id);
        if on {
            if let Some(person) = person(&mut room.people, user_id) {
                person.typing_until = Some(now + TYPING_MS);
            }
        } else {
            stop(&mut room.people, user_id);
        }
    }

    /// As another tab has it.
    pub fn take_relayed(&mut self, now: u64, conversation_id: &str, people: Vec<(String, bool)>) {
        let person = |(user_id, types): (String, bool)| Person {
            user_id,
            refs: vec![String::new()],
            typing_until: types.then_some(now + TYPING_MS),
        };
        self.room(conversation_id).people = people.into_iter().map(person).collect();
    }

    /// A message of this user came: what was typed is there. Answers whether this user typed.
    pub fn wrote(&mut self, conversation_id: &str, user_id: &str) -> bool {
        let room = self.rooms.iter_mut().find(|room| room.conversation_id == conversation_id);
        room.is_some_and(|room| stop(&mut room.people, user_id))
    }

    /// Ends what was not repeated in time, and answers in which conversations.
    pub fn expire(&mut self, now: u64) -> Vec<String> {
        let mut changed = Vec::new();
        for Room { conversation_id, people, .. } in &mut self.rooms {
            let mut any = false;
            for person in people.iter_mut() {
                if person.typing_until.is_some_and(|until| until <= now) {
                    person.typing_until = None;
                    any = true;
                }
            }
            people.retain(Person::is_there);
            if any {
                changed.push(conversation_id.clone());
            }
        }
        changed
    }

    pub fn deadline(&self) -> Option<u64> {
        self.rooms.iter().flat_map(|room| &room.people).filter_map(|person| person.typing_until).min()
    }

    /// Each user once, and whether this user types.
    pub fn list(&self, conversation_id: &str) -> impl Iterator<Item = (&str, bool)> {
        let room = self.rooms.iter().find(|room| room.conversation_id == conversation_id);
        let people = room.map(|room| room.people.as_slice()).unwrap_or_default();
        people.iter().map(|person| (person.user_id.as_str(), person.typing_until.is_some()))
    }

    pub fn forget(&mut self, conversation_id: &str) {
        self.rooms.retain(|room| room.conversation_id != conversation_id);
    }

    pub fn forget_all(&mut self) {
        self.rooms.clear();
    }

    fn room(&mut self, conversation_id: &str) -> &mut Room {
        let known = self.rooms.iter().position(|room| room.conversation_id == conversation_id);
        let index = known.unwrap_or_else(|| {
            self.rooms.push(Room { conversation_id: conversation_id.to_owned(), ..Room::default() });
            self.rooms.len() - 1
        });
        &mut self.rooms[index]
    }
}

impl Room {
    fn enter(&mut self, joins: &Value) {
        for (user_id, entry) in joins.as_object().map(Object::fields).unwrap_or_default() {
            for reference in items(entry, "metas").iter().filter_map(|meta| text(meta, "phx_ref")) {
                if !self.left.iter().any(|left| left == reference)
                    && let Some(person) = person(&mut self.people, user_id)
                    && person.refs.len() < MAX_PEOPLE
                    && !person.refs.iter().any(|known| known == reference)
                {
                    person.refs.push(reference.to_owned());
                }
            }
        }
    }
}

impl Person {
    fn is_there(&self) -> bool {
        !self.refs.is_empty() || self.typing_until.is_some()
    }
}

fn person<'a>(room: &'a mut Vec<Person>, user_id: &str) -> Option<&'a mut Person> {
    let known = room.iter().position(|person| person.user_id == user_id);
    let index = match known {
        Some(index) => index,
        None if room.len() >= MAX_PEOPLE => return None,
        None => {
            room.push(Person { user_id: user_id.to_owned(), refs: Vec::new(), typing_until: None });
            room.len() - 1
        }
    };
    room.get_mut(index)
}

fn stop(room: &mut Vec<Person>, user_id: &str) -> bool {
    let person = room.iter_mut().find(|person| person.user_id == user_id);
    let typed = person.is_some_and(|person| person.typing_until.take().is_some());
    room.retain(Person::is_there);
    typed
}

#[cfg(test)]
mod tests;
