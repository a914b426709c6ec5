//! One conversation on the screen.

use super::Person;
use crate::{sync::SyncState, timeline::Timeline};

/// A conversation on the screen.
#[derive(Clone)]
pub(super) struct Shown {
    pub timeline: Timeline,
    /// Whose rows the view shows; empty before there are any.
    pub incarnation: String,
    /// Nothing in the view is in doubt: neither own rows from before anything was known of the conversation, nor rows
    /// beyond what the server has answered since it was found behind.
    pub confirmed: bool,
    /// The view is complete from here; 0 until something is known.
    pub low: u64,
    /// Up to here nothing is missing between the rows of the view.
    pub through: u64,
    /// What is being read from the database may have changed meanwhile: once more.
    pub again: bool,
    /// Its first page is there, and the observer knows it.
    pub loaded: bool,
    /// By itself it asks for nothing older before this, after so many pages that brought nothing.
    pub rests_until: u64,
    pub vain: u32,
    pub said_sync: Option<SyncState>,
    pub said_people: Vec<Person>,
    pub said_older: Option<bool>,
    /// Up to here it was read in this tab, and another one that leads was told so.
    pub read: u64,
    pub said_read: u64,
}

impl Shown {
    pub fn new(timeline: Timeline) -> Self {
        Self {
            timeline,
            incarnation: String::new(),
            confirmed: false,
            low: 0,
            through: 0,
            again: false,
            loaded: false,
            rests_until: 0,
            vain: 0,
            said_sync: None,
            said_people: Vec::new(),
            said_older: None,
            read: 0,
            said_read: 0,
        }
    }

    /// There are rows below, and none of those at hand is a message.
    pub fn shows_nothing_yet(&self) -> bool {
        self.low > 1 && self.timeline.first().is_none()
    }

    /// Something of what the server stored.
    pub fn shows_anything(&self) -> bool {
        self.low > 0 || self.timeline.first().is_some()
    }

    pub fn reset(&mut self) {
        self.timeline.reset();
        self.incarnation.clear();
        self.confirmed = false;
        self.low = 0;
        self.through = 0;
        self.rests_until = 0;
        self.vain = 0;
        self.read = 0;
        self.said_read = 0;
    }
}
