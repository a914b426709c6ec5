//! Web Locks: one holder per name, the others wait in order.

use std::collections::{BTreeMap, VecDeque};

use crate::TabId;

/// Names one request for a lock.
pub type Claim = u64;

#[derive(Clone, Default)]
pub struct Locks {
    locks: BTreeMap<String, Lock>,
    last: Claim,
}

#[derive(Clone, Default)]
struct Lock {
    holder: Option<(TabId, Claim)>,
    waiting: VecDeque<(TabId, Claim)>,
}

/// What a tab is to be told, some time later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockNews {
    Granted(TabId, Claim),
    Robbed(TabId, Claim),
}

impl Locks {
    pub fn request(&mut self, name: &str, tab: TabId) -> (Claim, Option<LockNews>) {
        self.last += 1;
        let claim = self.last;
        let lock = self.locks.entry(name.to_owned()).or_default();
        lock.waiting.push_back((tab, claim));
        (claim, lock.grant())
    }

    /// The holder learns that the lock is not his any more.
    pub fn steal(&mut self, name: &str, tab: TabId) -> (Claim, Vec<LockNews>) {
        self.last += 1;
        let claim = self.last;
        let lock = self.locks.entry(name.to_owned()).or_default();
        let robbed = lock.holder.replace((tab, claim)).map(|(tab, claim)| LockNews::Robbed(tab, claim));
        (claim, robbed.into_iter().chain([LockNews::Granted(tab, claim)]).collect())
    }

    /// Lets go of everything that this tab holds or waits for.
    pub fn release(&mut self, tab: TabId) -> Vec<LockNews> {
        let mut news = Vec::new();
        for lock in self.locks.values_mut() {
            lock.waiting.retain(|(waiting, _)| *waiting != tab);
            if lock.holder.is_some_and(|(holder, _)| holder == tab) {
                lock.holder = None;
                news.extend(lock.grant());
            }
        }
        news
    }

    pub fn holder(&self, name: &str) -> Option<TabId> {
        self.locks.get(name)?.holder.map(|(tab, _)| tab)
    }
}

impl Lock {
    fn grant(&mut self) -> Option<LockNews> {
        if self.holder.is_some() {
            return None;
        }
        self.holder = self.waiting.pop_front();
        self.holder.map(|(tab, claim)| LockNews::Granted(tab, claim))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_goes_from_tab_to_tab_in_order_and_can_be_stolen() {
        let mut locks = Locks::default();
        let (first, news) = locks.request("x", 1);
        assert_eq!(news, Some(LockNews::Granted(1, first)));
        let (second, news) = locks.request("x", 2);
        assert_eq!(news, None);
        let (third, news) = locks.steal("x", 3);
        assert_eq!(news, [LockNews::Robbed(1, first), LockNews::Granted(3, third)]);
        assert_eq!(locks.release(3), [LockNews::Granted(2, second)]);
        assert_eq!(locks.holder("x"), Some(2));
        assert_eq!(locks.release(2), []);
        assert_eq!(locks.holder("x"), None);
    }
}
