//! The lead where there are no Web Locks: a record that its owner renews, and that runs out when the owner is gone.

use super::RECORD_VERSION;
use crate::json::{Value, fields, number};

/// Name of the record in [`super::Table::Meta`].
pub const LEASE: &str = "lease";
/// How long a lease lasts that is not renewed: three beats.
pub const LEASE_MS: u64 = 15_000;

/// Times are of the wall clock, the only one that tabs share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub owner: u64,
    pub until: u64,
}

impl Lease {
    pub fn new(owner: u64, now: u64) -> Self {
        Self { owner, until: now + LEASE_MS }
    }

    /// Until when somebody else has it, if so. Clocks are set: what lasts longer than any lease is not believed.
    pub fn keeps_out(self, owner: u64, now: u64) -> Option<u64> {
        let fresh = now < self.until && self.until <= now + LEASE_MS;
        (fresh && self.owner != owner).then_some(self.until)
    }

    pub fn to_record(self) -> Value {
        fields! {
            "v": RECORD_VERSION,
            "name": LEASE,
            "owner": self.owner,
            "until": self.until,
        }
        .into()
    }

    pub fn from_record(record: &Value) -> Option<Self> {
        Some(Self { owner: number(record, "owner")?, until: number(record, "until")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn a_lease_keeps_others_out_while_it_is_fresh_and_its_owner_never() {
        let lease = Lease::new(7, 100_000);
        assert_eq!(lease.until, 115_000);
        assert_eq!(lease.keeps_out(8, 100_000), Some(115_000));
        assert_eq!(lease.keeps_out(8, 114_999), Some(115_000));
        assert_eq!(lease.keeps_out(8, 115_000), None, "it ran out");
        assert_eq!(lease.keeps_out(8, 99_999), None, "no lease lasts that long: a clock was set");
        assert_eq!(lease.keeps_out(7, 100_000), None);
    }

    #[test]
    fn a_lease_is_written_as_ever_and_read_as_far_as_it_can_be() {
        let record = json::parse(include_str!("../../tests/golden/lease.json")).unwrap();
        let lease = Lease { owner: 9_007_199_254_740_991, until: 1_795_415_415_000 };
        assert_eq!(lease.to_record(), record);
        assert_eq!(Lease::from_record(&record), Some(lease));
        assert_eq!(Lease::from_record(&json!({"owner": 7})), None);
    }
}
