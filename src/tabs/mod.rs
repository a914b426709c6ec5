//! Leader and followers: any tab enqueues, one drains the outbox and holds the socket.
//!
//! The leader holds a lock that the others wait for. Taking it raises the *generation* in the
//! database, which every write of the leader checks: a tab that was robbed of the lock writes
//! nothing more. What tabs tell each other only makes things sooner; the truth is in the database.
//!
//! The leader *beats*: it proves its generation in the database and then says how things are. A
//! follower that hears nothing for too long asks (*ping*), and takes the lock by force when there is
//! no answer: the leader is stuck, or frozen without a word. Where there is no Web Lock, a *lease*
//! takes its place: a record in the database that every beat renews and that runs out by itself.
//!
//! | role | what happens | next |
//! |---|---|---|
//! | `Aside` | the database is open, the page came back, somebody is signed in | `Following`: queues for the lock, pings |
//! | `Following` | the lock is granted, or stolen after silence | `Taking`: raises the generation |
//! | `Taking` | it is raised | `Leading`: reads everything anew, speaks |
//! | | the database refuses | `Refused`: lets go of the lock, tries again after a pause |
//! | | somebody else's lease is fresh | `Waiting` until it runs out, or its owner says that it left |
//! | `Taking`, `Leading` | the lock was stolen | `Following`, anew |
//! | `Leading` | a check of the generation fails | the same, and the lock is released |
//! | | it is hidden, and a visible follower asks for the lead | the same, once no request is under way |
//! | any | frozen, leaving, signed out, outdated, closed | `Aside`: lock, lease and requests are let go |
//! | any | the tab dies | the browser hands the lock on; a lease runs out |
//!
//! A tab that dies while it takes the lead leaves a generation behind that nobody holds: the next
//! one raises it again. An answer that comes back after the role was lost is not waited for any more.

mod message;
mod watch;

pub use message::{Leader, TabMessage};
pub use watch::{Duty, Watch};

/// The leader looks for new rows this often, whatever it was told, and says that it is there.
pub const BEAT_MS: u64 = 5_000;

/// How far this tab is on its way to the lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It does not want the lock.
    Aside,
    /// The database did not let it raise the generation: it waits before it tries again.
    Refused,
    /// Another tab leads by a lease.
    Waiting {
        until: u64,
    },
    /// It waits for the lock.
    Following,
    /// It has the lock and raises the generation.
    Taking,
    Leading {
        generation: u64,
    },
}

impl Role {
    pub fn generation(self) -> Option<u64> {
        match self {
            Role::Leading { generation } => Some(generation),
            _ => None,
        }
    }

    /// It has the lock, or stands in its queue.
    pub fn claims(self) -> bool {
        matches!(self, Role::Following | Role::Taking | Role::Leading { .. })
    }

    /// It would lead if nobody else did.
    pub fn watches(self) -> bool {
        matches!(self, Role::Following | Role::Waiting { .. })
    }
}

/// Whether a leader that was asked for the lead gives it up now. What is under way comes to its end first.
pub fn yields(asked: bool, visible: bool, busy: bool) -> bool {
    asked && !visible && !busy
}

#[cfg(test)]
mod tests;
