//! What is true whatever the engine believes: which messages were accepted, by whom, and what became of them.

use std::collections::{BTreeMap, BTreeSet};

use surechat::json::{Value, number, text};

use crate::{Broken, broken, disk::Disk, screen::View, server::Server};

#[derive(Clone, Default)]
pub struct Reference {
    sent: BTreeMap<String, Sent>,
}

/// One message that an app asked to send.
#[derive(Clone)]
pub struct Sent {
    pub profile: usize,
    pub user: String,
    pub database: String,
    /// How often that database had been deleted by then.
    pub age: u32,
    pub conversation: String,
    pub content: String,
    /// `send` said *persisted*.
    pub accepted: bool,
    /// Somebody cancelled or discarded it, and was told that it is done.
    pub withdrawn: bool,
    /// Somebody asked for that: it may be gone already.
    pub withdrawing: bool,
}

/// Server rows of these kinds of content stay refused whatever the weather.
pub const HOPELESS: [&str; 2] = [crate::server::REFUSED, POISON];
/// Content that fails its whole request.
pub const POISON: &str = "poison";

impl Reference {
    pub fn asked(&mut self, id: &str, sent: Sent) {
        self.sent.insert(id.to_owned(), sent);
    }

    pub fn get(&self, id: &str) -> Option<&Sent> {
        self.sent.get(id)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut Sent> {
        self.sent.get_mut(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Sent)> {
        self.sent.iter()
    }

    /// No accepted message is lost.
    pub fn check_loss(&self, id: &str, disks: &[Disk], server: &Server) -> Result<(), Broken> {
        let Some(sent) = self.sent.get(id) else { return Ok(()) };
        if !sent.accepted || sent.withdrawing || server.has(id) || server.taken_away.contains(id) {
            return Ok(());
        }
        let database = disks.get(sent.profile).and_then(|disk| disk.database(&sent.database));
        if database.is_some_and(|database| database.deleted > sent.age || database.holds(id)) {
            return Ok(());
        }
        Err(broken(
            "no accepted message is lost",
            format!("{id} ({}) is neither on the disk nor on the server", sent.content),
        ))
    }

    pub fn check_all_losses(&self, disks: &[Disk], server: &Server) -> Result<(), Broken> {
        self.sent.keys().try_for_each(|id| self.check_loss(id, disks, server))
    }

    /// Server order is send order, of what one user sent from one profile in one conversation.
    pub fn check_order(&self, disks: &[Disk], server: &Server) -> Result<(), Broken> {
        for (conversation, held) in server.conversations() {
            // Of each life of each outbox: what a deleted one had sent may still arrive.
            let mut last: BTreeMap<(&str, u32), (u64, &str)> = BTreeMap::new();
            let mut ids = BTreeSet::new();
            for row in &held.rows {
                if !ids.insert(&row.id) {
                    return Err(broken("one row per message", format!("{} is twice in {conversation}", row.id)));
                }
                let Some(sent) = self.sent.get(&row.id) else { continue };
                let Some(database) = disks.get(sent.profile).and_then(|disk| disk.database(&sent.database)) else {
                    continue;
                };
                let Some((age, order)) = database.order_of(&row.id) else { continue };
                if row.sender.as_deref() != Some(sent.user.as_str()) {
                    return Err(broken(
                        "nothing goes out under another name",
                        format!("{} is by {:?}", row.id, row.sender),
                    ));
                }
                // A row that was ever refused stands where it was retried, and an early copy may store it anywhere.
                if database.was_refused(&row.id) || server.taken_away.contains(&row.id) {
                    continue;
                }
                let lane = last.entry((&sent.database, age)).or_insert((0, ""));
                if order < lane.0 {
                    let detail = format!("in {conversation} {} ({order}) comes after {} ({})", row.id, lane.1, lane.0);
                    return Err(broken("server order is send order", detail));
                }
                *lane = (order, &row.id);
            }
        }
        Ok(())
    }

    /// The view shows what the server has: nothing else, nothing less from its first row on.
    pub fn check_view(&self, conversation: &str, view: &View, server: &Server) -> Result<(), Broken> {
        let Some(held) = server.conversation(conversation) else { return Ok(()) };
        let shown: Vec<&Value> = view.stored().map(|(_, message)| message).collect();
        let first = shown.iter().find_map(|message| number(message, "seq")).unwrap_or(0);
        let rows: Vec<_> = held.rows.iter().filter(|row| row.kind == "message" && row.seq >= first).collect();
        let wrong =
            |detail: String| Err(broken("every view shows what the server has", format!("{conversation}: {detail}")));
        for row in &rows {
            let Some(message) = view.find(&row.id) else {
                let seqs: Vec<u64> = shown.iter().filter_map(|message| number(message, "seq")).collect();
                return wrong(format!("{} #{} is not shown among {seqs:?}", row.id, row.seq));
            };
            if number(message, "seq") != Some(row.seq) {
                return wrong(format!("{} #{} is shown at {:?}", row.id, row.seq, number(message, "seq")));
            }
            if text(message, "content") != Some(&row.content) {
                return wrong(format!("{} #{} shows another text", row.id, row.seq));
            }
            if message.get("deleted_at").is_some_and(|at| at.as_str().is_some()) != row.deleted {
                return wrong(format!("{} #{} is deleted on one side only", row.id, row.seq));
            }
        }
        for message in shown {
            let id = text(message, "id").unwrap_or_default();
            if !server.has(id) && !server.taken_away.contains(id) {
                return wrong(format!("{id} is shown as stored and is not on the server"));
            }
        }
        Ok(())
    }
}
