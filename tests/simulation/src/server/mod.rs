//! The server, as the migration in `supabase/migrations` behaves: `chat_send`, `chat_sync` and `chat_ack`, and the live
//! events that its triggers send. `tests/sql` holds the real one to the same rules.

mod list;
mod receipts;
mod send;
mod sync;

use std::collections::{BTreeMap, BTreeSet};

use surechat::{
    json::{Value, empty_object, object, parse, print, text},
    rest::{HttpRequest, HttpResponse},
};

use crate::{Time, token::Auth};

pub use send::{REFUSED, RowFault};

#[derive(Clone)]
pub struct Server {
    pub auth: Auth,
    conversations: BTreeMap<String, Conversation>,
    /// Where each message id is: the primary key.
    places: BTreeMap<String, (String, u64)>,
    incarnations: u32,
    /// Of the newest transaction.
    transaction: u64,
    /// Rows of a first page.
    pub page_rows: u64,
    /// Rows of one `chat_sync`.
    pub row_limit: u64,
    /// What was committed and is to be told live.
    pub live: Vec<Live>,
    /// Ids that belong to rows nobody here can see.
    pub conflicts: BTreeSet<String>,
    /// Acts that cannot be undone, for the reference: ids that a restore took away, or retention deleted.
    pub taken_away: BTreeSet<String>,
    /// Those of them that retention deleted: who has such a row may keep it.
    pub expired: BTreeSet<String>,
}

#[derive(Clone, Default)]
pub struct Conversation {
    pub incarnation: String,
    pub last_seq: u64,
    /// By `seq`.
    pub rows: Vec<Row>,
    pub members: Vec<Member>,
    /// The transaction that changed it last.
    changed: u64,
    /// Retention was at work here.
    pub has_expired: bool,
    /// Somebody was put out, and what that member had read counts no more.
    pub has_lost_members: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub id: String,
    pub seq: u64,
    pub kind: String,
    pub target_id: Option<String>,
    pub sender: Option<String>,
    pub role: String,
    pub content: String,
    pub message_type: String,
    pub metadata: Value,
    pub created_at: Time,
    pub edited: bool,
    pub deleted: bool,
    /// The transaction that wrote it last.
    changed: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub user: String,
    pub role: String,
    pub delivered: u64,
    pub read: u64,
    /// The transaction that changed it last.
    changed: u64,
}

/// A broadcast to a user's inbox.
#[derive(Clone)]
pub struct Live {
    pub user: String,
    pub event: &'static str,
    pub payload: Value,
}

/// What a request meets on its way, apart from its own faults.
#[derive(Clone, Default)]
pub struct Rules {
    /// What becomes of the nth row of a send instead of being stored.
    pub row: Option<(usize, RowFault)>,
    /// A row of this content fails the whole request: a constraint of the app's, an oversized value.
    pub poison: Option<&'static str>,
    /// Over a row of this content the database stumbles, for no fault of anybody's.
    pub stumble: Option<&'static str>,
    /// The largest body that is let through.
    pub max_body: Option<usize>,
    /// What was committed after this is not seen by a sync yet.
    pub blind_since: Option<Time>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            auth: Auth::default(),
            conversations: BTreeMap::new(),
            places: BTreeMap::new(),
            incarnations: 0,
            transaction: 2,
            page_rows: 50,
            row_limit: 200,
            live: Vec::new(),
            conflicts: BTreeSet::new(),
            taken_away: BTreeSet::new(),
            expired: BTreeSet::new(),
        }
    }
}

impl Server {
    /// `chat_ensure`: somebody who is new here starts at the end.
    pub fn ensure(&mut self, id: &str, members: &[(&str, &str)]) {
        let changed = self.begin();
        if !self.conversations.contains_key(id) {
            self.incarnations += 1;
            let incarnation = format!("{:08x}-0000-4000-8000-000000000000", self.incarnations);
            self.conversations.insert(id.to_owned(), Conversation { incarnation, changed, ..Conversation::default() });
        }
        let Some(conversation) = self.conversations.get_mut(id) else { return };
        let before = conversation.members.len();
        for (user, role) in members {
            if conversation.member(user).is_none() {
                let (delivered, read) = (conversation.last_seq, conversation.last_seq);
                let (user, role) = ((*user).to_owned(), (*role).to_owned());
                conversation.members.push(Member { user, role, delivered, read, changed });
                conversation.members.sort_by(|one, other| one.user.cmp(&other.user));
            }
        }
        if conversation.members.len() > before {
            self.tell(id, "members", &empty_object());
        }
    }

    pub fn remove_member(&mut self, id: &str, user: &str) {
        let changed = self.begin();
        self.tell(id, "members", &empty_object());
        if let Some(conversation) = self.conversations.get_mut(id) {
            conversation.members.retain(|member| member.user != user);
            conversation.has_lost_members = true;
            conversation.changed = changed;
        }
    }

    pub fn conversation(&self, id: &str) -> Option<&Conversation> {
        self.conversations.get(id)
    }

    pub fn conversations(&self) -> impl Iterator<Item = (&String, &Conversation)> {
        self.conversations.iter()
    }

    pub fn row(&self, id: &str) -> Option<&Row> {
        let (conversation, seq) = self.places.get(id)?;
        self.conversations.get(conversation)?.row(*seq)
    }

    pub fn has(&self, id: &str) -> bool {
        self.places.contains_key(id)
    }

    /// Retention deletes a row for good.
    pub fn delete_row(&mut self, conversation: &str, seq: u64) {
        if let Some(held) = self.conversations.get_mut(conversation)
            && let Some(place) = held.rows.iter().position(|row| row.seq == seq)
        {
            let row = held.rows.remove(place);
            held.has_expired = true;
            self.expired.insert(row.id.clone());
            self.places.remove(&row.id);
            self.taken_away.insert(row.id);
        }
    }

    /// The conversation is set back to an older copy of it, which may count as another incarnation.
    pub fn restore(&mut self, id: &str, copy: Conversation, anew: bool) {
        let changed = self.begin();
        let Some(held) = self.conversations.get_mut(id) else { return };
        for row in held.rows.iter().filter(|row| copy.row(row.seq).is_none_or(|kept| kept.id != row.id)) {
            self.places.remove(&row.id);
            self.taken_away.insert(row.id.clone());
        }
        *held = copy;
        held.changed = changed;
        for row in &held.rows {
            self.places.insert(row.id.clone(), (id.to_owned(), row.seq));
        }
        if anew {
            self.incarnations += 1;
            held.incarnation = format!("{:08x}-0000-4000-8000-000000000000", self.incarnations);
        }
    }

    /// What the Data API answers to a request that arrives now.
    pub fn answer(&mut self, now: Time, request: &HttpRequest, rules: &Rules) -> HttpResponse {
        let jwt = bearer(request).unwrap_or_default();
        let Some(user) = self.auth.check(jwt, now).map(str::to_owned) else {
            return respond(401, &object(vec![("code", "PGRST303".into()), ("message", "JWT expired".into())]));
        };
        let Some(body) = parse(&request.body) else { return respond(400, &error("PGRST102")) };
        if rules.max_body.is_some_and(|limit| request.body.len() > limit) {
            return HttpResponse {
                status: 413,
                retry_after_ms: None,
                date_ms: None,
                body: "<html>too large</html>".into(),
            };
        }
        if text(&body, "expected_user") != Some(&user) {
            return respond(401, &error("PT401"));
        }
        match function(request) {
            "chat_send" => self.send(now, &user, &body["batch"], rules),
            "chat_sync" => respond(200, &self.sync(&user, &body["cursors"], rules)),
            "chat_list" => respond(200, &self.list(&user, &body, rules)),
            "chat_ack" => respond(200, &self.ack(&user, &body["acks"])),
            _ => respond(404, &error("PGRST202")),
        }
    }

    fn begin(&mut self) -> u64 {
        self.transaction += 1;
        self.transaction
    }

    fn tell(&mut self, conversation: &str, event: &'static str, payload: &Value) {
        let Some(held) = self.conversations.get(conversation) else { return };
        let live =
            held.members.iter().map(|member| Live { user: member.user.clone(), event, payload: payload.clone() });
        self.live.extend(live);
    }
}

impl Conversation {
    fn changed(&self) -> u64 {
        self.members.iter().map(|member| member.changed).fold(self.changed, u64::max)
    }

    /// Tells its states apart.
    pub fn version(&self) -> (u64, usize) {
        (self.changed(), self.members.len())
    }

    /// Up to where somebody of another role has stored and read.
    pub fn watermarks(&self, user: &str) -> (u64, u64) {
        let role = self.member(user).map(|member| member.role.as_str());
        let others = self.members.iter().filter(|member| Some(member.role.as_str()) != role);
        others.fold((0, 0), |(delivered, read), member| (member.delivered.max(delivered), member.read.max(read)))
    }

    /// Messages of others that this member has not read.
    pub fn unread(&self, user: &str) -> u64 {
        self.unread_up_to(user, self.last_seq)
    }

    fn unread_up_to(&self, user: &str, last: u64) -> u64 {
        let read = self.member(user).map_or(0, |member| member.read);
        let counts = |row: &&Row| {
            row.kind == "message"
                && row.sender.as_deref() != Some(user)
                && !row.deleted
                && row.seq > read
                && row.seq <= last
        };
        self.rows.iter().filter(counts).count() as u64
    }

    pub fn last_message(&self) -> Option<&Row> {
        self.last_message_up_to(self.last_seq)
    }

    fn last_message_up_to(&self, last: u64) -> Option<&Row> {
        self.rows.iter().rev().find(|row| row.kind == "message" && row.seq <= last)
    }

    pub fn member(&self, user: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.user == user)
    }

    pub fn row(&self, seq: u64) -> Option<&Row> {
        let place = self.rows.binary_search_by_key(&seq, |row| row.seq).ok()?;
        self.rows.get(place)
    }
}

impl Row {
    /// As `to_jsonb` spells it.
    pub fn to_value(&self, conversation: &str) -> Value {
        let at = stamp(self.created_at);
        object(vec![
            ("id", self.id.as_str().into()),
            ("conversation_id", conversation.into()),
            ("seq", self.seq.into()),
            ("kind", self.kind.as_str().into()),
            ("target_id", self.target_id.as_deref().into()),
            ("sender_id", self.sender.as_deref().into()),
            ("sender_role", self.role.as_str().into()),
            ("content", self.content.as_str().into()),
            ("message_type", self.message_type.as_str().into()),
            ("metadata", self.metadata.clone()),
            ("created_at", at.as_str().into()),
            ("edited_at", self.edited.then_some(at.as_str()).into()),
            ("deleted_at", self.deleted.then_some(at.as_str()).into()),
        ])
    }
}

pub fn function(request: &HttpRequest) -> &str {
    request.url.rsplit('/').next().unwrap_or_default()
}

/// The token that goes with a request.
pub fn bearer(request: &HttpRequest) -> Option<&str> {
    let header = request.headers.iter().find(|(name, _)| *name == "Authorization")?;
    header.1.strip_prefix("Bearer ")
}

pub fn error(code: &str) -> Value {
    object(vec![("code", code.into()), ("message", "".into())])
}

pub fn respond(status: u16, body: &Value) -> HttpResponse {
    HttpResponse { status, retry_after_ms: None, date_ms: None, body: print(body) }
}

fn stamp(at: Time) -> String {
    format!(
        "2026-11-23T{:02}:{:02}:{:02}.{:03}+00:00",
        at / 3_600_000 % 24,
        at / 60_000 % 60,
        at / 1_000 % 60,
        at % 1_000
    )
}
