//! What every screen must show once the world is kind: what the server has, all of it, in its order, and nothing else.
//!
//! Live events may have been lost in any way, also in silence. What finds that is the engine's timer, so a screen that
//! still differs when its longest pause has passed since the last change is wrong, whatever else goes on.

use std::collections::BTreeSet;

use surechat::{
    json::{Value, number, owned, text},
    sync::RECONCILE_LIVE_MS,
    timeline::tick,
};

use super::World;
use crate::{
    Broken, Time, broken,
    screen::{List, View},
    server::{Conversation, Row},
    tab::Tab,
};

/// For the request that the timer makes, and for one before it that is under way and is never answered.
const SLACK_MS: u64 = 15_000;
/// A screen equals the server's state by then.
pub const PERIOD_MS: u64 = RECONCILE_LIVE_MS.end + SLACK_MS;

const VIEWS: &str = "every view shows what the server has";
const LISTS: &str = "every list shows what the server has";
const TIMELY: &str = "within the reconcile period every screen shows what the server has";

/// How a conversation was when it was looked at last, and since when it is like that.
pub(super) type Noticed = ((u64, usize), Time);

/// Where a screen differs from the server: in which conversation, and how.
pub(super) struct Difference {
    conversation: String,
    pub broken: Broken,
}

impl World {
    /// Breaks where a screen differs for longer than the period. Answers the first difference of all.
    pub(super) fn look_at_screens(&mut self) -> Result<Option<Broken>, Broken> {
        let states = self.server.conversations().map(|(id, held)| (id.clone(), held.version()));
        let people = self.rooms.iter().map(|(id, room)| (people_of(id), (0, room.changes)));
        for (id, version) in states.chain(people) {
            let noticed = self.noticed.entry(id).or_insert((version, self.now));
            if noticed.0 != version {
                *noticed = (version, self.now);
            }
        }
        let differences = self.differences();
        for Difference { conversation, broken } in &differences {
            let changed_at = self.noticed.get(conversation).map_or(0, |(_, at)| *at);
            let waits = self.now - changed_at.max(self.kind_since);
            self.slowest = self.slowest.max(waits);
            if waits > PERIOD_MS {
                let detail = format!("after {waits} ms: {}: {}", broken.rule, broken.detail);
                return Err(Broken { rule: TIMELY, detail });
            }
        }
        Ok(differences.into_iter().next().map(|difference| difference.broken))
    }

    fn differences(&self) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (id, tab) in self.tabs.iter().enumerate().filter_map(|(id, tab)| Some((id, tab.as_deref()?))) {
            let signed_in = self.profiles[tab.profile].signed_in;
            let Some(user) = signed_in.filter(|user| tab.user() == Some(user) && !tab.closed && !tab.closing) else {
                continue;
            };
            let mut note = |conversation: &str, rule: &'static str, detail: String| {
                let detail = format!("tab {id} {conversation}: {detail}");
                differences.push(Difference { conversation: conversation.to_owned(), broken: broken(rule, detail) });
            };
            for (conversation, view) in tab.screen.views() {
                if let Err(detail) = self.check_view(tab, user, conversation, view) {
                    note(conversation, VIEWS, detail);
                }
                if tab.visible
                    && let Err(detail) = self.check_people(user, conversation, view)
                {
                    note(&people_of(conversation), "nobody is shown who has left", detail);
                }
            }
            if let Some(list) = &tab.screen.list {
                let known = self.server.conversations().map(|(conversation, _)| conversation);
                let ids: BTreeSet<&String> = known.chain(list.lines.keys()).collect();
                for conversation in ids {
                    if let Err(detail) = self.check_line(user, conversation, list) {
                        note(conversation, LISTS, detail);
                    }
                }
            }
        }
        differences
    }

    fn check_view(&self, tab: &Tab, user: &str, conversation: &str, view: &View) -> Result<(), String> {
        let held = self.server.conversation(conversation).filter(|held| held.member(user).is_some());
        let Some(held) = held else {
            return match view.stored().next() {
                Some((place, _)) => Err(format!("#{place} is shown to somebody who is no member")),
                None => Ok(()),
            };
        };
        if !view.loaded {
            return Err("it is not loaded".into());
        }
        // Without a message to show it looks for older ones by itself.
        let first = view.stored().next().filter(|_| view.has_older != Some(false)).map_or(1, |(place, _)| *place);
        let echoes = self.echoes(tab);
        for row in held.rows.iter().filter(|row| row.kind == "message" && row.seq >= first) {
            let Some(message) = view.rows.get(&row.seq) else {
                let places: Vec<&u64> = view.stored().map(|(place, _)| place).collect();
                return Err(format!("{} #{} is not shown among {places:?}", row.id, row.seq));
            };
            self.check_message(held, user, row, message, echoes.contains(&row.id))?;
        }
        for (place, message) in view.stored() {
            let id = text(message, "id").unwrap_or_default();
            if held.row(*place).is_none_or(|row| row.id != id) && !self.server.expired.contains(id) {
                return Err(format!("{id} is shown at {place} and is not on the server"));
            }
        }
        Ok(())
    }

    /// Messages with an edit or a delete that is not sent.
    fn echoes(&self, tab: &Tab) -> BTreeSet<String> {
        let database = tab.database.as_ref().and_then(|name| self.disks[tab.profile].database(name));
        let records = database.into_iter().flat_map(|database| database.outbox());
        records.filter_map(|record| owned(record, "target_id")).collect()
    }

    fn check_message(
        &self,
        held: &Conversation,
        user: &str,
        row: &Row,
        message: &Value,
        echoed: bool,
    ) -> Result<(), String> {
        let shows = |what: &str| {
            Err(format!(
                "{} #{} shows {what} {:?} instead of {:?}",
                row.id,
                row.seq,
                message.get(what),
                expected(row, what)
            ))
        };
        for what in ["id", "sender_id", "sender_role"] {
            if text(message, what) != expected(row, what) {
                return shows(what);
            }
        }
        if number(message, "seq") != Some(row.seq) {
            return shows("seq");
        }
        if echoed {
            return Ok(());
        }
        if text(message, "content") != Some(&row.content) {
            return shows("content");
        }
        if text(message, "deleted_at").is_some() != row.deleted {
            return shows("deleted_at");
        }
        if text(message, "edited_at").is_some() != row.edited && !row.deleted {
            return shows("edited_at");
        }
        check_tick(held, user, row, message)
    }

    fn check_line(&self, user: &str, conversation: &str, list: &List) -> Result<(), String> {
        let held = self.server.conversation(conversation);
        let held = held.and_then(|held| Some((held, held.member(user)?)));
        let (line, (held, member)) = match (list.lines.get(conversation), held) {
            (None, None) => return Ok(()),
            (Some(_), None) => return Err("it is in the list of somebody who is no member".into()),
            (None, Some(_)) => return Err(format!("it is not in the list, loaded {}", list.loaded)),
            (Some(line), Some(held)) => (line, held),
        };
        let newest = held.last_message();
        let last = line.get("last_message").filter(|last| **last != Value::Null);
        let differs =
            |what: &str| Err(format!("the list shows another {what}: {line} instead of {newest:?} of {member:?}"));
        if list.error.is_some() || !list.loaded {
            return Err(format!("the list is not loaded: {:?}", list.error));
        }
        if text(line, "role") != Some(&member.role) {
            return differs("role");
        }
        if number(line, "last_seq") != Some(held.last_seq) {
            return differs("last_seq");
        }
        // Nothing tells what retention deletes.
        if held.has_expired {
            return Ok(());
        }
        if number(line, "unread") != Some(held.unread(user)) {
            return differs("unread");
        }
        let (Some(newest), Some(last)) = (newest, last) else {
            return if newest.is_none() && last.is_none() { Ok(()) } else { differs("last_message") };
        };
        if text(last, "id") != Some(&newest.id)
            || text(last, "content") != Some(&newest.content)
            || text(last, "deleted_at").is_some() != newest.deleted
            || text(line, "last_at") != text(last, "created_at")
        {
            return differs("last_message");
        }
        check_tick(held, user, newest, last)
    }
}

fn people_of(conversation: &str) -> String {
    format!("people of {conversation}")
}

fn expected<'a>(row: &'a Row, what: &str) -> Option<&'a str> {
    match what {
        "id" => Some(&row.id),
        "sender_id" => row.sender.as_deref(),
        "sender_role" => Some(&row.role),
        "content" => Some(&row.content),
        _ => None,
    }
}

fn rank(status: Option<&str>) -> usize {
    ["sent", "delivered", "read"].iter().position(|known| Some(*known) == status).map_or(0, |place| place + 1)
}

/// How far an own message got.
fn check_tick(held: &Conversation, user: &str, row: &Row, message: &Value) -> Result<(), String> {
    let (delivered, read) = held.watermarks(user);
    let own = row.sender.as_deref() == Some(user);
    let expected = own.then(|| tick(row.seq, delivered, read).as_str());
    let shown = text(message, "delivery_status");
    // Ticks never fall, also when nobody is left who has read it.
    if shown == expected || (own && held.has_lost_members && rank(shown) > rank(expected)) {
        return Ok(());
    }
    Err(format!("{} #{} is {shown:?} instead of {expected:?}: {delivered} delivered, {read} read", row.id, row.seq))
}
