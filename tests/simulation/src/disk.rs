//! One browser profile's disk: its databases by name, and what the page remembers.
//!
//! It also writes down what the reference needs: which key each row of an outbox got, and which of them was refused.

use std::collections::{BTreeMap, BTreeSet};

use surechat::{
    json::{number, owned, text},
    store::{MemoryStore, Operation, Reply, StoreResult, Table, Transaction},
};

#[derive(Clone, Default)]
pub struct Disk {
    databases: BTreeMap<String, Database>,
    pub remembered: Option<String>,
}

/// Place in the order of sending. A deleted database counts its keys from the start again.
pub type Order = (u32, u64);

#[derive(Clone, Default)]
pub struct Database {
    store: MemoryStore,
    /// The newest key of every row that ever stood in the outbox, by id.
    keys: BTreeMap<String, Order>,
    /// Rows that were written a second time: an act that a new leader is told again, after what it wrote was sent.
    again: BTreeSet<String>,
    /// Rows whose refusal was ever committed.
    refused: BTreeSet<String>,
    /// Kind and content of every row that ever stood in the outbox, as they were last.
    rows: BTreeMap<String, (String, String)>,
    /// What each message is to say, after the last edit that was committed.
    texts: BTreeMap<String, String>,
    /// How often it was deleted.
    pub deleted: u32,
}

/// What a transaction took out of an outbox.
pub struct Removed {
    pub id: String,
    pub record: surechat::json::Value,
}

impl Disk {
    pub fn open(&mut self, name: &str) -> &mut Database {
        self.databases.entry(name.to_owned()).or_default()
    }

    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases.get(name)
    }

    pub fn databases(&self) -> impl Iterator<Item = (&String, &Database)> {
        self.databases.iter()
    }

    /// The user clears the site's data.
    pub fn delete(&mut self, name: &str) {
        if let Some(database) = self.databases.get_mut(name) {
            database.store = MemoryStore::default();
            database.deleted += 1;
        }
    }
}

impl Database {
    /// The transaction's result, and the rows that left the outbox by it.
    pub fn run(&mut self, transaction: &Transaction) -> (StoreResult, Vec<Removed>) {
        let touches_outbox = transaction.operations.iter().any(takes_from_outbox);
        let before = if touches_outbox { self.outbox_records() } else { Vec::new() };
        let result = self.store.run(transaction);
        let Ok(replies) = &result else { return (result, Vec::new()) };
        for (operation, reply) in transaction.operations.iter().zip(replies) {
            match (operation, reply) {
                (Operation::Add { value }, Reply::Key(key)) => self.note(value, *key, true),
                (Operation::Put { table: Table::Outbox, value }, _) => {
                    self.note(value, number(value, "key").unwrap_or(0), false)
                }
                _ => {}
            }
        }
        let mut removed = Vec::new();
        if touches_outbox {
            let left: BTreeSet<String> = self.outbox_records().into_iter().map(|(id, _)| id).collect();
            for (id, record) in before {
                if !left.contains(&id) {
                    removed.push(Removed { id, record });
                }
            }
        }
        (result, removed)
    }

    fn note(&mut self, record: &surechat::json::Value, key: u64, added: bool) {
        let Some(id) = owned(record, "id") else { return };
        let kind = text(record, "kind").unwrap_or_default();
        let row = (kind.to_owned(), text(record, "content").unwrap_or_default().to_owned());
        let about = if kind == "edit" { owned(record, "target_id") } else { Some(id.clone()) };
        // An edit that a new leader is told again, after it was sent, is written anew, and says nothing new.
        // Nor does a message that is tried again, whose edit may be stored by now.
        let anew = added && kind == "edit" && self.refused.contains(&id);
        // One that gave way to another edit meanwhile has its tombstone: that it is told again makes it no later.
        let gave_way = kind == "edit" && self.kind_of(&id) == Some("delete");
        if kind != "delete" && !gave_way && (anew || self.rows.get(&id) != Some(&row)) {
            self.texts.insert(about.unwrap_or_default(), row.1.clone());
        }
        self.rows.insert(id.clone(), row);
        if record.get("refused").is_some_and(|refused| refused.as_object().is_some()) {
            self.refused.insert(id.clone());
        }
        if self.keys.insert(id.clone(), (self.deleted, key)).is_some() && added {
            self.again.insert(id);
        }
    }

    fn outbox_records(&self) -> Vec<(String, surechat::json::Value)> {
        self.outbox().filter_map(|record| Some((owned(record, "id")?, record.clone()))).collect()
    }

    pub fn outbox(&self) -> impl Iterator<Item = &surechat::json::Value> {
        self.store.table(Table::Outbox)
    }

    /// A message that stands in the outbox twice.
    pub fn doubled(&self) -> Option<&str> {
        let mut ids: Vec<&str> = self.outbox().filter_map(|record| text(record, "id")).collect();
        ids.sort_unstable();
        ids.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }

    pub fn holds(&self, id: &str) -> bool {
        self.outbox().any(|record| text(record, "id") == Some(id))
    }

    pub fn order_of(&self, id: &str) -> Option<Order> {
        self.keys.get(id).copied()
    }

    /// What became of the row of this id, whether it is still here or not.
    pub fn kind_of(&self, id: &str) -> Option<&str> {
        self.rows.get(id).map(|(kind, _)| kind.as_str())
    }

    pub fn text_of(&self, id: &str) -> Option<&str> {
        self.texts.get(id).map(String::as_str)
    }

    /// Something that concerns this message is still to be sent.
    pub fn has_work_on(&self, id: &str) -> bool {
        self.outbox().any(|record| text(record, "id") == Some(id) || text(record, "target_id") == Some(id))
    }

    pub fn was_told_again(&self, id: &str) -> bool {
        self.again.contains(id)
    }

    pub fn was_refused(&self, id: &str) -> bool {
        self.refused.contains(id)
    }

    pub fn generation(&self) -> u64 {
        self.store.generation()
    }

    pub fn conversation(&self, id: &str) -> Option<&surechat::json::Value> {
        self.store.table(Table::Conversations).find(|record| text(record, "id") == Some(id))
    }

    pub fn conversations(&self) -> impl Iterator<Item = &surechat::json::Value> {
        self.store.table(Table::Conversations)
    }

    /// The cached rows of a conversation.
    pub fn messages<'a>(&'a self, conversation: &'a str) -> impl Iterator<Item = &'a surechat::json::Value> {
        self.store.table(Table::Messages).filter(move |record| text(record, "conversation_id") == Some(conversation))
    }
}

fn takes_from_outbox(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Delete { table: Table::Outbox, .. }
            | Operation::DeleteRange { table: Table::Outbox, .. }
            | Operation::Put { table: Table::Outbox, .. }
    )
}
