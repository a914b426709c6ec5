//! One tab's observer: it keeps what an app would show, and holds every update to what was promised.

use std::collections::BTreeMap;

use surechat::{
    engine::{Person, Problem, Update},
    health::ConnectionStatus,
    json::{Value, owned, text},
    message::DeliveryStatus,
    sync::{ListPatch, SyncState},
    timeline::Patch,
};

use crate::{Broken, broken};

#[derive(Clone, Default)]
pub struct Screen {
    views: BTreeMap<String, View>,
    pub connection: Option<ConnectionStatus>,
    pub pending: usize,
    pub pending_by: Vec<(String, usize)>,
    pub problems: BTreeMap<Option<String>, Problem>,
    delivery: BTreeMap<String, Said>,
    pub answers: BTreeMap<u32, Result<Value, Problem>>,
    pub closed: bool,
    /// The list of all conversations, while it is shown.
    pub list: Option<List>,
    /// There is no database, or not any more: the page is to be loaded anew.
    pub lacks_storage: bool,
}

#[derive(Clone, Default)]
pub struct View {
    pub loaded: bool,
    pub sync: Option<SyncState>,
    /// By place.
    pub rows: BTreeMap<u64, Value>,
    places: BTreeMap<String, u64>,
    /// How far each own message got, apart from changes of it that are on their way.
    ticks: BTreeMap<String, u8>,
    pub has_older: Option<bool>,
    pub people: Vec<Person>,
}

#[derive(Clone, Default)]
pub struct List {
    pub loaded: bool,
    pub lines: BTreeMap<String, Value>,
    pub error: Option<Problem>,
}

#[derive(Clone, Copy)]
struct Said {
    /// And whether it was refused.
    last: (DeliveryStatus, bool),
    highest: DeliveryStatus,
}

/// What the world has to look at.
#[derive(Clone, PartialEq)]
pub enum Seen {
    Delivery {
        conversation: String,
        id: String,
        status: DeliveryStatus,
        http_status: Option<u16>,
        code: Option<String>,
    },
    Answered {
        op: u32,
    },
}

impl Screen {
    /// The app shows a conversation.
    pub fn open(&mut self, conversation: &str) {
        self.views.entry(conversation.to_owned()).or_default();
    }

    pub fn close(&mut self, conversation: &str) {
        self.views.remove(conversation);
    }

    pub fn views(&self) -> impl Iterator<Item = (&String, &View)> {
        self.views.iter()
    }

    pub fn view(&self, conversation: &str) -> Option<&View> {
        self.views.get(conversation)
    }

    pub fn take(&mut self, update: Update) -> Result<Option<Seen>, Broken> {
        if self.closed && !matches!(update, Update::Done { .. } | Update::Failed { .. }) {
            return Err(broken("quiet after close", "an update after the client was closed".into()));
        }
        match update {
            Update::Connection(status) => self.connection = Some(status),
            Update::Sync { conversation_id, state } => {
                if let Some(view) = self.views.get_mut(&conversation_id) {
                    view.sync = Some(state);
                }
            }
            Update::Loaded { conversation_id } => {
                if let Some(view) = self.views.get_mut(&conversation_id) {
                    view.loaded = true;
                }
            }
            Update::Messages { conversation_id, patch } => {
                if let Some(view) = self.views.get_mut(&conversation_id) {
                    view.apply(patch)?;
                }
            }
            Update::History { conversation_id, has_older } => {
                if let Some(view) = self.views.get_mut(&conversation_id) {
                    view.has_older = has_older;
                }
            }
            Update::Pending { total, conversations } => {
                self.pending = total;
                self.pending_by = conversations;
            }
            Update::Delivery { conversation_id, id, status, failure, .. } => {
                let refused = failure.as_ref().is_some_and(|failure| !failure.retryable);
                self.announced(id.as_str(), status, refused)?;
                return Ok(Some(Seen::Delivery {
                    conversation: conversation_id,
                    id: id.as_str().to_owned(),
                    status,
                    http_status: failure.as_ref().and_then(|failure| failure.http_status),
                    code: failure.map(|failure| failure.code),
                }));
            }
            Update::Problem { conversation_id, error } => {
                match error {
                    Some(error) => self.problems.insert(conversation_id, error),
                    None => self.problems.remove(&conversation_id),
                };
            }
            Update::People { conversation_id, people } => {
                if let Some(view) = self.views.get_mut(&conversation_id) {
                    view.people = people;
                }
            }
            Update::Conversations { patch } => {
                if let Some(list) = &mut self.list {
                    list.apply(patch)?;
                }
            }
            Update::ListState { error, .. } => {
                if let Some(list) = &mut self.list {
                    list.error = error;
                }
            }
            Update::Drained { .. } | Update::TakenBack { .. } => {}
            Update::Storage { durable } => self.lacks_storage = !durable,
            Update::Done { op, result } => return self.answered(op, Ok(result)),
            Update::Failed { op, error } => return self.answered(op, Err(error)),
        }
        Ok(None)
    }

    fn answered(&mut self, op: u32, answer: Result<Value, Problem>) -> Result<Option<Seen>, Broken> {
        if self.answers.insert(op, answer).is_some() {
            return Err(broken("a call is answered once", format!("call {op}")));
        }
        Ok(Some(Seen::Answered { op }))
    }

    /// Each state once, *failed* once more when it is refused, and ticks only upwards.
    fn announced(&mut self, id: &str, status: DeliveryStatus, refused: bool) -> Result<(), Broken> {
        let said = self.delivery.get(id).copied();
        if let Some(said) = said {
            if said.last == (status, refused) {
                return Err(broken("each state is announced once", format!("{id} is {status:?} twice")));
            }
            if said.highest >= DeliveryStatus::Sent && status < said.highest {
                return Err(broken("ticks never fall", format!("{id} is {status:?} after {:?}", said.highest)));
            }
        }
        let highest = said.map_or(status, |said| said.highest.max(status));
        self.delivery.insert(id.to_owned(), Said { last: (status, refused), highest });
        Ok(())
    }
}

impl List {
    fn apply(&mut self, patch: ListPatch) -> Result<(), Broken> {
        if patch.reset {
            self.lines.clear();
        }
        self.loaded |= patch.loaded;
        for id in &patch.removes {
            self.lines.remove(id);
        }
        for line in patch.upserts {
            let Some(id) = owned(&line, "id") else {
                return Err(broken("a line of the list has an id", format!("{line}")));
            };
            self.lines.insert(id, line);
        }
        Ok(())
    }
}

impl View {
    /// As the JavaScript side does it.
    fn apply(&mut self, patch: Patch) -> Result<(), Broken> {
        if patch.reset {
            self.rows.clear();
            self.places.clear();
            self.ticks.clear();
        }
        for id in &patch.removes {
            if let Some(place) = self.places.remove(id.as_str()) {
                self.rows.remove(&place);
            }
        }
        for (place, message) in &patch.upserts {
            let Some(id) = owned(message, "id") else {
                return Err(broken("a message has an id", format!("place {place}")));
            };
            if let Some(old) = self.places.insert(id.clone(), *place) {
                self.rows.remove(&old);
                // The database was set back meanwhile: it was read where it stood before.
                if old != *place && old < 1 << 52 {
                    self.ticks.remove(&id);
                }
            }
            // An edit on its way shows its own state.
            if *place < 1 << 52 && message.get("phase").is_none() {
                let rank = rank(message);
                if self.ticks.get(&id).is_some_and(|before| *before > rank) {
                    return Err(broken("ticks never fall", format!("{id} in a view")));
                }
                self.ticks.insert(id, rank);
            }
        }
        for (place, message) in patch.upserts {
            let id = owned(&message, "id").unwrap_or_default();
            if let Some(other) = self.rows.insert(place, message) {
                let other = text(&other, "id").unwrap_or_default();
                let detail = format!("{other} is overwritten by {id} at {place}");
                return Err(broken("a place holds one message", detail));
            }
        }
        Ok(())
    }

    /// Messages that the server has numbered.
    pub fn stored(&self) -> impl Iterator<Item = (&u64, &Value)> {
        self.rows.range(..1 << 52)
    }

    /// Messages that are on their way.
    pub fn pending(&self) -> impl Iterator<Item = (&u64, &Value)> {
        self.rows.range(1 << 52..)
    }

    pub fn find(&self, id: &str) -> Option<&Value> {
        self.rows.get(self.places.get(id)?)
    }
}

fn rank(message: &Value) -> u8 {
    match text(message, "delivery_status") {
        Some("sent") => 1,
        Some("delivered") => 2,
        Some("read") => 3,
        _ => 0,
    }
}
