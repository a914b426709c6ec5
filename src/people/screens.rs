//! What the other tabs show to somebody, as they tell the one that leads.

/// A tab that is not heard of for this long is gone; it speaks at every beat of the leader.
const GONE_MS: u64 = 30_000;

#[derive(Debug, Clone, Default)]
pub struct Screens {
    tabs: Vec<Screen>,
}

#[derive(Debug, Clone)]
struct Screen {
    tab: u64,
    until: u64,
    conversations: Vec<String>,
}

impl Screens {
    pub fn told(&mut self, now: u64, tab: u64, conversations: Vec<String>) {
        self.tabs.retain(|screen| screen.tab != tab);
        if !conversations.is_empty() {
            self.tabs.push(Screen { tab, until: now + GONE_MS, conversations });
        }
    }

    pub fn expire(&mut self, now: u64) {
        self.tabs.retain(|screen| screen.until > now);
    }

    pub fn forget_all(&mut self) {
        self.tabs.clear();
    }

    pub fn deadline(&self) -> Option<u64> {
        self.tabs.iter().map(|screen| screen.until).min()
    }

    pub fn conversations(&self) -> impl Iterator<Item = &String> {
        self.tabs.iter().flat_map(|screen| &screen.conversations)
    }
}
