//! One conversation's ordered view: what the server stored, by `seq`, and behind it what is still
//! on its way, by outbox key. It answers patches: what an observer must change to see the same.

use litemap::LiteMap;

use crate::{
    json::{Value, fields},
    message::{DeliveryStatus, Envelope, Failure, Kind, MessageId, StoredMessage, iso8601},
    outbox::RowState,
};

/// Pending rows sort behind every stored one.
const PENDING_BASE: u64 = 1 << 52;

/// What an observer of the view must do, in this order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch {
    /// Forget everything first.
    pub reset: bool,
    /// Place in the view, and the message as JavaScript shows it.
    pub upserts: Vec<(u64, Value)>,
    pub removes: Vec<MessageId>,
}

/// A row of the outbox in the view.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    pub key: u64,
    pub envelope: Envelope,
    pub state: RowState,
    /// [`RowState::next_attempt_at`] on the wall clock, for people.
    pub next_attempt_wall: Option<u64>,
}

impl Pending {
    fn order(&self) -> u64 {
        PENDING_BASE + self.key
    }

    fn aims_at(&self, id: &MessageId) -> bool {
        self.envelope.target_id.as_deref() == Some(id.as_str())
    }
}

#[derive(Debug, Clone)]
pub struct Timeline {
    user_id: String,
    /// Shown on own messages until the server names the role.
    own_role: String,
    stored: LiteMap<u64, StoredMessage>,
    pending: Vec<Pending>,
    /// Edits and deletes on their way, which show on what they aim at.
    echoes: Vec<Pending>,
    /// Where each stored message stands.
    places: LiteMap<MessageId, u64>,
    /// The last edit or delete of each message, also of those that are below the view as yet.
    amendments: Vec<StoredMessage>,
    /// Up to where others have stored and read.
    delivered: u64,
    read: u64,
    reset: bool,
    changed: Vec<u64>,
    removed: Vec<MessageId>,
}

impl Timeline {
    pub fn new(user_id: &str, own_role: &str) -> Self {
        Self {
            user_id: user_id.into(),
            own_role: own_role.into(),
            stored: LiteMap::new(),
            pending: Vec::new(),
            echoes: Vec::new(),
            places: LiteMap::new(),
            amendments: Vec::new(),
            delivered: 0,
            read: 0,
            reset: true,
            changed: Vec::new(),
            removed: Vec::new(),
        }
    }

    /// Forget what the server stored, and who has read it; what is on its way stays.
    pub fn reset(&mut self) {
        self.stored.clear();
        self.places.clear();
        self.amendments.clear();
        (self.delivered, self.read) = (0, 0);
        self.changed = self.pending.iter().map(Pending::order).collect();
        self.removed.clear();
        (self.delivered, self.read) = (0, 0);
        self.reset = true;
    }

    /// The lowest `seq` in the view.
    pub fn first(&self) -> Option<u64> {
        self.stored.keys().next().copied()
    }

    /// The highest `seq` in the view.
    pub fn last(&self) -> Option<u64> {
        self.stored.keys().next_back().copied()
    }

    /// Where a row of this id stands, or may stand: from this `seq` on, where nothing else does.
    pub fn place(&self, id: &MessageId, mut seq: u64) -> u64 {
        if let Some(place) = self.places.get(id) {
            return *place;
        }
        while self.stored.contains_key(&seq) {
            seq += 1;
        }
        seq
    }

    /// Forget what the server stored below this `seq`.
    pub fn drop_below(&mut self, seq: u64) {
        while let Some(first) = self.first().filter(|first| *first < seq) {
            self.drop(first);
        }
    }

    /// Forget what the server stored from here to there, but for these rows.
    pub fn drop_between(&mut self, from: u64, through: u64, kept: &[StoredMessage]) {
        let is_in = |row: &&StoredMessage| from <= row.seq && row.seq <= through;
        let is_gone = |row: &&StoredMessage| kept.iter().all(|kept| kept.id != row.id);
        let gone: Vec<u64> = self.stored.values().filter(is_in).filter(is_gone).map(|row| row.seq).collect();
        gone.into_iter().for_each(|at| self.drop(at));
    }

    fn drop(&mut self, seq: u64) {
        if let Some(message) = self.stored.remove(&seq) {
            self.places.remove(&message.id);
            self.removed.push(message.id);
        }
    }

    /// A row of the server. Edits and deletes are not shown: they change what they aim at, now or when that comes into
    /// view. Answers the row that another one has changed, as it is now.
    pub fn put(&mut self, message: StoredMessage) -> Option<&StoredMessage> {
        match message.kind {
            Kind::Message => self.put_message(message),
            Kind::Edit | Kind::Delete => self.amend(message),
        }
    }

    fn put_message(&mut self, mut message: StoredMessage) -> Option<&StoredMessage> {
        let seq = message.seq;
        // After the server was set back to a copy, an id has another seq and a seq another id.
        if let Some(old) = self.places.insert(message.id.clone(), seq).filter(|old| *old != seq) {
            self.stored.remove(&old);
        }
        if let Some(other) = self.stored.get(&seq).filter(|other| other.id != message.id) {
            self.places.remove(&other.id);
            self.removed.push(other.id.clone());
        }
        if let Some(place) = self.pending.iter().position(|pending| pending.envelope.id == message.id) {
            let order = self.pending.remove(place).order();
            self.changed.retain(|changed| *changed != order);
        }
        let amendment = self.amendments.iter().find(|amendment| amendment.aims_at(&message.id));
        let amended = amendment.is_some_and(|amendment| message.amend(amendment));
        if self.stored.get(&seq) != Some(&message) {
            self.stored.insert(seq, message);
            self.changed.push(seq);
        }
        self.stored.get(&seq).filter(|_| amended)
    }

    fn amend(&mut self, amendment: StoredMessage) -> Option<&StoredMessage> {
        let target = MessageId::parse(amendment.target_id.as_deref()?)?;
        if self.amendments.iter().any(|known| known.aims_at(&target) && known.seq >= amendment.seq) {
            return None;
        }
        self.amendments.retain(|known| !known.aims_at(&target));
        let place = self.places.get(&target).copied();
        let stored = place.and_then(|seq| self.stored.get_mut(&seq));
        let amended = stored.is_some_and(|stored| stored.amend(&amendment));
        self.amendments.push(amendment);
        let place = place.filter(|_| amended);
        self.changed.extend(place);
        self.stored.get(&place?)
    }

    /// A row of the cache, which knows nothing that a row at hand does not know better.
    pub fn fill(&mut self, message: StoredMessage) -> Option<&StoredMessage> {
        if self.stored.contains_key(&message.seq) { None } else { self.put(message) }
    }

    /// All rows of the outbox for this conversation, in order.
    pub fn set_pending(&mut self, rows: Vec<Pending>) {
        let (mut rows, echoes): (Vec<Pending>, Vec<Pending>) =
            rows.into_iter().partition(|row| row.envelope.kind == Kind::Message);
        rows.retain(|row| !self.places.contains_key(&row.envelope.id));
        self.changed.retain(|order| *order < PENDING_BASE || find(&rows, *order).is_some());
        for old in &self.pending {
            let id = &old.envelope.id;
            let stays = find(&rows, old.order()).is_some_and(|row| row.envelope.id == *id);
            if !stays && !self.places.contains_key(id) && !rows.iter().any(|row| row.envelope.id == *id) {
                self.removed.push(id.clone());
            }
        }
        for row in &rows {
            if self.reset || find(&self.pending, row.order()) != Some(row) {
                self.changed.push(row.order());
            }
        }
        self.pending = rows;
        let before = std::mem::replace(&mut self.echoes, echoes);
        for echo in before.iter().filter(|echo| !self.echoes.contains(echo)) {
            self.changed.extend(self.place_of_target(echo));
        }
        for echo in self.echoes.iter().filter(|echo| !before.contains(echo)) {
            self.changed.extend(self.place_of_target(echo));
        }
    }

    /// Something of the outbox is shown that is not among these.
    pub fn would_lose(&self, rows: &[Pending]) -> bool {
        self.pending.iter().chain(&self.echoes).any(|old| !rows.iter().any(|row| row.key == old.key))
    }

    fn place_of_target(&self, echo: &Pending) -> Option<u64> {
        let pending = self.pending.iter().find(|row| echo.aims_at(&row.envelope.id)).map(Pending::order);
        pending.or_else(|| self.places.iter().find(|(id, _)| echo.aims_at(id)).map(|(_, seq)| *seq))
    }

    /// Up to where another member has stored and read. Ticks never fall.
    pub fn set_watermarks(&mut self, delivered: u64, read: u64) {
        let (delivered, read) = (self.delivered.max(delivered), self.read.max(read));
        let risen = |seq: u64| (self.delivered < seq && seq <= delivered) || (self.read < seq && seq <= read);
        let own = self.stored.values().filter(|message| message.sender_id.as_deref() == Some(&self.user_id));
        self.changed.extend(own.map(|message| message.seq).filter(|seq| risen(*seq)));
        (self.delivered, self.read) = (delivered, read);
    }

    pub fn set_user(&mut self, user_id: &str) {
        self.user_id = user_id.into();
    }

    pub fn set_own_role(&mut self, role: &str) {
        if self.own_role != role {
            self.own_role = role.into();
            self.changed.extend(self.pending.iter().map(Pending::order));
        }
    }

    /// What has changed since the last call.
    pub fn take_patch(&mut self) -> Option<Patch> {
        if !self.reset && self.changed.is_empty() && self.removed.is_empty() {
            return None;
        }
        let reset = std::mem::take(&mut self.reset);
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        let mut removes = std::mem::take(&mut self.removed);
        if reset {
            removes.clear();
        }
        let show = |order: u64| match find(&self.pending, order) {
            Some(row) => {
                let mut view = show_pending(row, &self.user_id, &self.own_role);
                self.echoes_of(&row.envelope.id).for_each(|echo| show_echo(&mut view, echo));
                Some(view)
            }
            None => self.stored.get(&order).map(|message| self.show_stored(message)),
        };
        let upserts = changed.into_iter().filter_map(|order| Some((order, show(order)?))).collect();
        Some(Patch { reset, upserts, removes })
    }

    fn show_stored(&self, message: &StoredMessage) -> Value {
        let mut view = show_stored(message, &self.user_id, self.delivered, self.read);
        for echo in self.echoes_of(&message.id) {
            show_echo(&mut view, echo);
            for (name, value) in show_state(echo) {
                view[name] = value;
            }
        }
        view
    }

    fn echoes_of(&self, id: &MessageId) -> impl Iterator<Item = &Pending> {
        self.echoes.iter().filter(move |echo| echo.aims_at(id))
    }
}

/// The pending row at this place.
fn find(pending: &[Pending], order: u64) -> Option<&Pending> {
    pending.get(pending.binary_search_by_key(&order, Pending::order).ok()?)
}

/// How far an own message with this `seq` got.
pub fn tick(seq: u64, delivered: u64, read: u64) -> DeliveryStatus {
    if seq <= read {
        DeliveryStatus::Read
    } else if seq <= delivered {
        DeliveryStatus::Delivered
    } else {
        DeliveryStatus::Sent
    }
}

/// A stored row as JavaScript shows it.
pub fn show_stored(message: &StoredMessage, user_id: &str, delivered: u64, read: u64) -> Value {
    let own = message.sender_id.as_deref() == Some(user_id);
    let mut view = fields! {
        "id": message.id.as_str(),
        "conversation_id": message.conversation_id.as_str(),
        "seq": message.seq,
        "sender_id": message.sender_id.as_deref(),
        "sender_role": message.sender_role.as_str(),
        "content": message.content.as_str(),
        "message_type": message.message_type.as_str(),
        "metadata": message.metadata.clone(),
        "created_at": message.created_at.as_str(),
        "edited_at": message.edited_at.as_deref(),
        "deleted_at": message.deleted_at.as_deref(),
        "retry_count": 0,
    };
    if own {
        view.set("delivery_status", tick(message.seq, delivered, read).as_str());
    }
    view.into()
}

/// An outbox row as JavaScript shows it.
pub fn show_pending(row: &Pending, user_id: &str, own_role: &str) -> Value {
    let envelope = &row.envelope;
    let mut view = fields! {
        "id": envelope.id.as_str(),
        "conversation_id": envelope.conversation_id.as_str(),
        "seq": Value::Null,
        "sender_id": user_id,
        "sender_role": own_role,
        "content": envelope.content.as_str(),
        "message_type": envelope.message_type.as_str(),
        "metadata": envelope.metadata.clone(),
        "created_at": iso8601(envelope.created_at),
        "edited_at": Value::Null,
        "deleted_at": Value::Null,
    };
    show_state(row).into_iter().for_each(|(name, value)| view.set(name, value));
    view.into()
}

/// How far a row of the outbox got.
fn show_state(Pending { state, next_attempt_wall, .. }: &Pending) -> [(&'static str, Value); 6] {
    [
        ("delivery_status", state.status.as_str().into()),
        ("retry_count", state.retry_count.into()),
        ("phase", state.phase.as_str().into()),
        ("next_attempt_at", next_attempt_wall.map(iso8601).into()),
        ("blocked_by", state.blocked_by.as_ref().map(MessageId::as_str).into()),
        ("failure", state.failure.as_ref().map(Failure::to_value).into()),
    ]
}

/// What an edit or a delete on its way makes of the message it aims at.
fn show_echo(view: &mut Value, echo: &Pending) {
    let changed_at = if echo.envelope.kind == Kind::Edit { "edited_at" } else { "deleted_at" };
    view["content"] = echo.envelope.content.as_str().into();
    view[changed_at] = iso8601(echo.envelope.created_at).into();
}

#[cfg(test)]
mod tests;
