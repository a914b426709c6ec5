//! What is true whatever the engine believes: which messages were accepted, by whom, and what became of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Broken, broken, disk::Disk, server::Server};

#[derive(Clone, Default)]
pub struct Reference {
    sent: BTreeMap<String, Sent>,
}

/// One message that an app asked to send.
#[derive(Clone, Default)]
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
    /// Somebody cancelled or discarded it, or edited it after it was refused, and was told that it is done.
    pub withdrawn: bool,
    /// Somebody asked for that: it may be gone already.
    pub withdrawing: bool,
    /// Somebody asked to edit it.
    pub edited: bool,
    /// What takes its place where it was refused before.
    pub replacements: Vec<String>,
    /// Somebody asked to take it back.
    pub cancelled: bool,
    /// Somebody asked to give up what is unsent of it: also an edit, or that it is taken back.
    pub given_up: bool,
    /// Somebody wanted to give it up as unsent, and it was sent already.
    pub discarded_late: bool,
}

impl Sent {
    /// By whom and to whom.
    pub fn of(other: &Sent) -> Self {
        Self {
            profile: other.profile,
            user: other.user.clone(),
            database: other.database.clone(),
            age: other.age,
            conversation: other.conversation.clone(),
            ..Self::default()
        }
    }
}

/// What was refused with such content may stay refused whatever the weather.
pub const HOPELESS: [&str; 3] = [crate::server::REFUSED, POISON, STUMBLE];
/// Content that fails its whole request.
pub const POISON: &str = "poison";
/// The same with a 5xx of the database's, which may pass.
pub const STUMBLE: &str = "stumble";

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
        let replaced = |id: &String| database.is_some_and(|database| database.kind_of(id) == Some("message"));
        if database.is_some_and(|database| database.deleted > sent.age || database.holds(id))
            || sent.replacements.iter().any(replaced)
        {
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

    /// What people took back is gone, what they gave up too late is there, and an edit's last text wins.
    pub fn check_acts(
        &self,
        disks: &[Disk],
        server: &Server,
        restored: &BTreeSet<String>,
        spared: &BTreeSet<String>,
    ) -> Result<(), Broken> {
        for (id, sent) in self.sent.iter().filter(|(_, sent)| sent.accepted && !restored.contains(&sent.conversation)) {
            let Some(database) = disks.get(sent.profile).and_then(|disk| disk.database(&sent.database)) else {
                continue;
            };
            let Some(row) = server.row(id).filter(|row| row.kind == "message") else { continue };
            if database.deleted > sent.age || database.has_work_on(id) {
                continue;
            }
            let stays = spared.contains(id) || (sent.cancelled && sent.given_up);
            if sent.withdrawn && !stays && !row.deleted {
                return Err(broken("what was taken back is gone", format!("{id} ({}) is on the server", row.content)));
            }
            if sent.discarded_late && !sent.withdrawing && row.deleted {
                return Err(broken("only what is unsent is given up", format!("{id} is deleted")));
            }
            // What was taken back took its edits with it; a copy that was stored late is as it was sent.
            let is_old_copy = sent.withdrawn && spared.contains(id);
            let wins = row.deleted || database.text_of(id) == Some(&row.content);
            if sent.edited && !sent.given_up && !is_old_copy && !wins {
                let detail = format!("{id} says {:?}, and {:?} was written last", row.content, database.text_of(id));
                return Err(broken("an edit's last text wins", detail));
            }
        }
        Ok(())
    }

    /// Server order is send order, of what one user sent from one profile in one conversation.
    pub fn check_order(&self, disks: &[Disk], server: &Server, spared: &BTreeSet<String>) -> Result<(), Broken> {
        for (conversation, held) in server.conversations() {
            // Of each life of each outbox: what a deleted one had sent may still arrive.
            let mut last: BTreeMap<(&str, u32), (u64, &str)> = BTreeMap::new();
            let mut ids = BTreeSet::new();
            for row in &held.rows {
                if !ids.insert(&row.id) {
                    return Err(broken("one row per message", format!("{} is twice in {conversation}", row.id)));
                }
                let Some(sent) = self.sent.get(&row.id).filter(|_| row.kind != "edit") else { continue };
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
                // An edit that a new leader is told again, after it was sent, takes another key and is a duplicate; where it
                // stands for a message that was refused, it was sent as one.
                if database.was_told_again(&row.id) {
                    continue;
                }
                // A row that was ever refused stands where it was retried, and an early copy may store it anywhere; so may
                // one of what was taken back, where the tombstone was refused.
                let tombstone_refused = sent.withdrawing && spared.contains(&row.id);
                if database.was_refused(&row.id) || tombstone_refused || server.taken_away.contains(&row.id) {
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
}
