//! The database as data: transactions that the engine asks for and answers that it gets.
//!
//! Every backend runs the same [`Transaction`]s: IndexedDB in the browser, [`MemoryStore`]
//! natively. A record carries its key and its version inside it; a record whose version is unknown
//! is skipped by its reader and survives.

mod lease;
mod memory;

use crate::json::{Value, fields, number, owned};

pub use lease::{LEASE, LEASE_MS, Lease};
pub use memory::MemoryStore;

/// The largest number that JavaScript counts exactly: no key is beyond it.
pub const MAX_NUMBER: u64 = (1 << 53) - 1;
/// Name of the record that counts the leads.
pub const GENERATION: &str = "generation";
/// Version written into every record.
pub const RECORD_VERSION: u64 = 1;

/// A table and, in brackets, the fields of a record that make its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// `[key]`, counted up by the database: the order of sending.
    Outbox,
    /// `[conversation_id, seq]`: the cache of what the server stored.
    Messages,
    /// `[id]`: cursor, covered interval and watermarks of a conversation.
    Conversations,
    /// `[name]`: the generation, the lease.
    Meta,
}

impl Table {
    pub const ALL: [Table; 4] = [Table::Outbox, Table::Messages, Table::Conversations, Table::Meta];

    pub fn name(self) -> &'static str {
        match self {
            Table::Outbox => "outbox",
            Table::Messages => "messages",
            Table::Conversations => "conversations",
            Table::Meta => "meta",
        }
    }
}

/// A record's key, in the order in which IndexedDB sorts keys of one table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Number(u64),
    Text(String),
    Place(String, u64),
}

#[derive(Clone, PartialEq)]
pub enum Operation {
    /// Adds a record to [`Table::Outbox`] and answers [`Reply::Key`].
    Add {
        value: Value,
    },
    /// Writes a record under the key inside it.
    Put {
        table: Table,
        value: Value,
    },
    Delete {
        table: Table,
        key: Key,
    },
    /// Deletes every record with `from <= key <= to`.
    DeleteRange {
        table: Table,
        from: Key,
        to: Key,
    },
    /// Answers [`Reply::Value`].
    Get {
        table: Table,
        key: Key,
    },
    /// Answers [`Reply::List`]: records with `from <= key <= to`, by ascending key.
    List {
        table: Table,
        from: Key,
        to: Key,
    },
    /// Counts the generation up by one and answers the new one as [`Reply::Key`]. In a new database it is `first`, which
    /// no other database had: what a leader of a deleted one still has on its way must not pass for this one's.
    RaiseGeneration {
        first: u64,
    },
    /// Takes or renews the lease for this tab. The transaction fails with [`StoreError::Leased`] while another tab holds
    /// it.
    TakeLease {
        owner: u64,
        now: u64,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Done,
    Key(u64),
    Value(Option<Value>),
    List(Vec<Value>),
}

/// Whether a commit must have reached the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    Strict,
    Relaxed,
}

/// All of it is done, or nothing.
#[derive(Clone, PartialEq)]
pub struct Transaction {
    pub durability: Durability,
    /// The transaction fails with [`StoreError::Robbed`] unless the database's generation is this.
    pub generation: Option<u64>,
    pub operations: Vec<Operation>,
}

impl Transaction {
    pub fn strict(operations: Vec<Operation>) -> Self {
        Self { durability: Durability::Strict, generation: None, operations }
    }

    pub fn relaxed(operations: Vec<Operation>) -> Self {
        Self { durability: Durability::Relaxed, generation: None, operations }
    }

    pub fn of_generation(mut self, generation: u64) -> Self {
        self.generation = Some(generation);
        self
    }

    /// Whether what it writes depends on what it reads, so that a page that stands still in the middle leaves it open.
    pub fn reads_first(&self) -> bool {
        let reads = |op: &Operation| matches!(op, Operation::RaiseGeneration { .. } | Operation::TakeLease { .. });
        self.generation.is_some() || self.operations.iter().any(reads)
    }

    pub fn is_read_only(&self) -> bool {
        self.operations.iter().all(|op| matches!(op, Operation::Get { .. } | Operation::List { .. }))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// There is no IndexedDB here, or it cannot be opened.
    Unavailable(String),
    /// The origin's quota is used up.
    Full,
    /// Another tab leads by now.
    Robbed,
    /// Another tab holds the lease until then, on the wall clock.
    Leased { until: u64 },
    /// Another tab opened a newer layout, or the user deleted the database.
    Outdated,
    /// Aborted for another reason; nothing was written.
    Failed(String),
}

pub type StoreResult = Result<Vec<Reply>, StoreError>;

/// The key inside a record.
pub fn key_of(table: Table, value: &Value) -> Option<Key> {
    match table {
        Table::Outbox => number(value, "key").map(Key::Number),
        Table::Messages => Some(Key::Place(owned(value, "conversation_id")?, number(value, "seq")?)),
        Table::Conversations => owned(value, "id").map(Key::Text),
        Table::Meta => owned(value, "name").map(Key::Text),
    }
}

/// The record in [`Table::Meta`] that counts the leads.
pub fn generation_record(generation: u64) -> Value {
    fields! { "v": RECORD_VERSION, "name": GENERATION, "value": generation }.into()
}

/// Whether this version of the package knows the record's layout.
pub fn is_known(record: &Value) -> bool {
    number(record, "v") == Some(RECORD_VERSION)
}

#[cfg(all(test, not(target_family = "wasm")))]
#[path = "../../tests/browser/conformance.rs"]
mod conformance;
