//! What must hold after every step.

use surechat::json::{Value, number, text};

use super::{Outcome, World};
use crate::{broken, disk::Database};

impl World {
    /// The cache holds whatever the server has between its lower end and its cursor.
    pub(super) fn check_cache(&self, profile: usize, name: &str, conversation: &str) -> Outcome {
        let Some(database) = self.disks[profile].database(name) else { return Ok(()) };
        let Some(record) = database.conversation(conversation) else { return Ok(()) };
        self.check_covered(
            database,
            conversation,
            record,
            number(record, "cursor").unwrap_or(0),
            "the cache has no hole",
        )
    }

    /// What is acknowledged as delivered is on this profile's disk, or gone from the server.
    pub(super) fn check_receipt(&self, profile: usize, name: &str, ack: &Value) -> Outcome {
        let conversation = text(ack, "conversation_id").unwrap_or_default();
        let delivered = number(ack, "delivered").unwrap_or(0);
        let rule = "delivered means stored without a hole";
        let Some(database) = self.disks[profile].database(name) else { return Ok(()) };
        let Some(record) = database.conversation(conversation) else {
            return Err(broken(rule, format!("{conversation} up to {delivered}, and nothing is stored")));
        };
        if self.same_incarnation(conversation, record) && number(record, "cursor").unwrap_or(0) < delivered {
            return Err(broken(
                rule,
                format!("{conversation} up to {delivered}, and the cursor is {:?}", record.get("cursor")),
            ));
        }
        self.check_covered(database, conversation, record, delivered, rule)
    }

    fn same_incarnation(&self, conversation: &str, record: &Value) -> bool {
        let held = self.server.conversation(conversation);
        held.is_some_and(|held| text(record, "incarnation") == Some(&held.incarnation))
    }

    fn check_covered(
        &self,
        database: &Database,
        id: &str,
        record: &Value,
        through: u64,
        rule: &'static str,
    ) -> Outcome {
        if !self.same_incarnation(id, record) || self.restored.contains(id) {
            return Ok(());
        }
        let low = number(record, "low").unwrap_or(1);
        let Some(held) = self.server.conversation(id) else { return Ok(()) };
        let stored: Vec<u64> = database.messages(id).filter_map(|row| number(row, "seq")).collect();
        match held.rows.iter().find(|row| (low..=through).contains(&row.seq) && stored.binary_search(&row.seq).is_err())
        {
            Some(row) => Err(broken(rule, format!("{id} #{} is missing between {low} and {through}", row.seq))),
            None => Ok(()),
        }
    }
}
