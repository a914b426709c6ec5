//! Everything that can go wrong, how likely it is in a world, and how often it did.

use fastrand::Rng;

macro_rules! faults {
    ($($name:ident: $text:literal,)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault { $($name),+ }

        impl Fault {
            pub const ALL: &[Fault] = &[$(Fault::$name),+];

            pub fn text(self) -> &'static str {
                match self { $(Fault::$name => $text),+ }
            }
        }
    };
}

faults! {
    CrashBefore: "tab dies before an effect",
    CrashAfter: "tab dies after an effect",
    CrashAnytime: "tab dies between two steps",
    Freeze: "tab frozen, with the page event",
    FreezeSilently: "tab frozen without a word",
    Stuck: "tab stuck for a while",
    Bfcache: "tab in the back/forward cache",
    Evicted: "tab evicted while it was frozen",
    Sleep: "machine asleep",
    WallJump: "wall clock set",
    Throttle: "timer throttled",
    Offline: "page offline",
    Robbed: "lock stolen by a stranger",
    RobbedLate: "robbed leader hears of it late",
    NoLocks: "lock that cannot be had counts as granted",
    Switch: "somebody else signs in",
    SignedOut: "nobody signed in",
    TokenOther: "provider gives another user's token",
    TokenThrows: "provider throws",
    TokenOld: "provider gives an old token",
    TokenLate: "provider answers late",
    TokenShort: "token of a short life",
    Revoked: "session revoked",
    RequestLost: "request lost",
    AnswerLost: "answer lost after the commit",
    Late: "request or answer late",
    Repeated: "request repeated by the browser",
    RepeatedLate: "repeated request arrives much later",
    Unauthorized: "401 of a gateway",
    Forbidden: "403 or 42501",
    Rejected: "rejected as a whole, or 414",
    TooLarge: "413",
    RateLimited: "429",
    Serialization: "40001 and its like",
    ServerDown: "5xx with HTML",
    ServerCoded: "5xx with a code",
    DownAfterCommit: "5xx after the commit",
    SchemaMissing: "schema not there",
    Garbage: "200 with garbage",
    RowForbidden: "row forbidden",
    RowNoConversation: "row without conversation",
    RowRejected: "row rejected",
    RowConflict: "row in conflict of ids",
    RowUnanswered: "row without an answer",
    Poison: "poisoned message accepted",
    BlindSync: "sync does not see the newest commits",
    LiveLost: "live event lost",
    LiveLate: "live event late, so reordered",
    LiveDoubled: "live event doubled",
    LiveTruncated: "live event without its row",
    SocketCut: "socket cut",
    HalfOpen: "socket half open",
    ConnectFails: "socket does not open",
    JoinRefused: "join refused",
    ReadyLate: "ready signal late",
    ReadyMissing: "ready signal missing",
    ReadyAgain: "second ready signal, after a silent loss",
    ReplicationLost: "live event lost with its replication, in silence",
    TypingLost: "typing event lost",
    StoreFails: "transaction aborted",
    StoreFull: "storage full",
    StoreLost: "connection to the database lost",
    StoreSlow: "transaction slow",
    OpenFails: "database does not open",
    OpenLate: "database opens late",
    DatabaseDeleted: "site data deleted",
    Retention: "rows deleted by retention",
    Restore: "server set back to a copy",
    Expelled: "membership taken and given back",
    Invited: "membership given",
    Withdrawn: "membership taken for good",
}

const COUNT: usize = Fault::ALL.len();
/// Out of so many.
pub const SCALE: u32 = 10_000;

/// The faults of one world.
#[derive(Clone)]
pub struct Weather {
    chances: [u32; COUNT],
    pub counts: [u64; COUNT],
    /// Nothing goes wrong any more.
    pub kind: bool,
}

impl Weather {
    /// A few faults that strike often, more that strike now and then, and the rest never.
    pub fn draw(rng: &mut Rng) -> Self {
        let mut weather = Self::fair();
        let busy = rng.u32(0..=100);
        for fault in Fault::ALL {
            let chance = match rng.u32(0..100) {
                n if n < busy / 8 => rng.u32(500..4_000),
                n if n < busy / 2 => rng.u32(20..500),
                _ => 0,
            };
            weather.set(*fault, chance / fault.rarity());
        }
        weather
    }

    pub fn fair() -> Self {
        Self { chances: [0; COUNT], counts: [0; COUNT], kind: false }
    }

    pub fn set(&mut self, fault: Fault, chance: u32) {
        self.chances[fault as usize] = chance;
    }

    pub fn chance(&self, fault: Fault) -> u32 {
        if self.kind { 0 } else { self.chances[fault as usize] }
    }

    /// Whether it begins now; what it does is counted when it does it.
    pub fn begins(&self, rng: &mut Rng, fault: Fault) -> bool {
        let chance = self.chance(fault);
        chance > 0 && rng.u32(0..SCALE) < chance
    }

    pub fn strikes(&mut self, rng: &mut Rng, fault: Fault) -> bool {
        let strikes = self.begins(rng, fault);
        if strikes {
            self.count(fault);
        }
        strikes
    }

    pub fn count(&mut self, fault: Fault) {
        self.counts[fault as usize] += 1;
    }
}

impl Fault {
    /// What strikes at every effect, or ends a whole life, is drawn less often.
    fn rarity(self) -> u32 {
        match self {
            Fault::CrashBefore | Fault::CrashAfter => 25,
            Fault::DatabaseDeleted | Fault::Restore => 8,
            Fault::ReplicationLost | Fault::OpenFails | Fault::CrashAnytime | Fault::Retention => 3,
            _ => 1,
        }
    }
}
