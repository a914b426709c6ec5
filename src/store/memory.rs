//! The backend of native tests: the same answers as IndexedDB, without a browser.

use std::collections::BTreeMap;

use crate::json::Value;

use super::{GENERATION, Key, LEASE, Lease, Operation, Reply, StoreError, StoreResult, Table, Transaction, key_of};

#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    records: BTreeMap<(Table, Key), Value>,
    last_key: u64,
}

impl MemoryStore {
    pub fn run(&mut self, transaction: &Transaction) -> StoreResult {
        if transaction.generation.is_some_and(|expected| expected != self.generation()) {
            return Err(StoreError::Robbed);
        }
        if let Some(until) = transaction.operations.iter().find_map(|operation| self.kept_out(operation)) {
            return Err(StoreError::Leased { until });
        }
        // Nothing else can go wrong: so nothing has to be undone.
        if transaction.operations.iter().any(lacks_key) {
            return Err(StoreError::Failed("a record without a key".into()));
        }
        Ok(transaction.operations.iter().filter_map(|operation| self.apply(operation)).collect())
    }

    pub fn generation(&self) -> u64 {
        self.records
            .get(&(Table::Meta, Key::Text(GENERATION.into())))
            .and_then(|record| record.get("value")?.as_u64())
            .unwrap_or(0)
    }

    pub fn table(&self, table: Table) -> impl Iterator<Item = &Value> {
        self.records.iter().filter(move |((of, _), _)| *of == table).map(|(_, value)| value)
    }

    /// Until when somebody else has the lease that is to be taken.
    fn kept_out(&self, operation: &Operation) -> Option<u64> {
        let Operation::TakeLease { owner, now } = operation else { return None };
        Lease::from_record(self.records.get(&lease_place())?)?.keeps_out(*owner, *now)
    }

    fn apply(&mut self, operation: &Operation) -> Option<Reply> {
        Some(match operation {
            Operation::Add { value } => {
                self.last_key += 1;
                let mut value = value.clone();
                value["key"] = self.last_key.into();
                self.records.insert((Table::Outbox, Key::Number(self.last_key)), value);
                Reply::Key(self.last_key)
            }
            Operation::Put { table, value } => {
                let key = key_of(*table, value)?;
                if let (Table::Outbox, Key::Number(key)) = (*table, &key) {
                    self.last_key = self.last_key.max(*key);
                }
                self.records.insert((*table, key), value.clone());
                Reply::Done
            }
            Operation::Delete { table, key } => {
                self.records.remove(&(*table, key.clone()));
                Reply::Done
            }
            Operation::DeleteRange { table, from, to } => {
                self.records.retain(|(of, key), _| of != table || key < from || key > to);
                Reply::Done
            }
            Operation::Get { table, key } => Reply::Value(self.records.get(&(*table, key.clone())).cloned()),
            Operation::List { table, from, to } => {
                let in_range = |key: &Key| from <= key && key <= to;
                let found = self.records.iter().filter(|((of, key), _)| of == table && in_range(key));
                Reply::List(found.map(|(_, value)| value.clone()).collect())
            }
            Operation::RaiseGeneration { first } => {
                let generation = if self.generation() == 0 { *first } else { self.generation() + 1 };
                let record = super::generation_record(generation);
                self.records.insert((Table::Meta, Key::Text(GENERATION.into())), record);
                Reply::Key(generation)
            }
            Operation::TakeLease { owner, now } => {
                self.records.insert(lease_place(), Lease::new(*owner, *now).to_record());
                Reply::Done
            }
        })
    }
}

fn lacks_key(operation: &Operation) -> bool {
    matches!(operation, Operation::Put { table, value } if key_of(*table, value).is_none())
}

fn lease_place() -> (Table, Key) {
    (Table::Meta, Key::Text(LEASE.into()))
}
