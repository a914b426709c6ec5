//! Windows of the app's own table, in what is asked for and what the answer is taken for.

use super::*;
use crate::rest::{Start, Window};

const MINUTE: u64 = 60_000_000;
/// A moment that is no whole minute, in microseconds.
const NOON: u64 = 1_795_435_200_000_000 + 12_345_678;

fn windowed() -> Sync {
    let mut sync = Sync::new(1).windowed(Some("w".into()));
    sync.track("b1");
    sync
}

/// What is asked for now, answered with these rows.
fn read(sync: &mut Sync, now: u64, times: &[u64]) -> (Start, Merge) {
    let start = sync.take_window(now).expect("it is due").1;
    let rows = times.iter().map(|time| row(*time, "you")).collect();
    let synced = sync.window_answered(now, &start, Window { rows, full: false }, Some(NOON / 1_000));
    let Some((_, Synced::Merged(merge))) = synced else { panic!("{synced:?}") };
    (start, merge)
}

#[test]
fn a_window_begins_with_a_whole_minute_before_what_may_still_be_committed() {
    let mut sync = windowed();
    let (start, merge) = read(&mut sync, 0, &[NOON - 5, NOON]);
    assert_eq!((start, seqs(&merge)), (Start::Newest, vec![NOON - 5, NOON]));
    sync.track("b1").due = true;
    let (start, _) = read(&mut sync, 60_000, &[NOON]);
    assert_eq!(start, Start::At((NOON / MINUTE - 2) * MINUTE));
}

#[test]
fn what_was_cached_of_another_table_is_a_reset() {
    let mut sync = windowed();
    sync.restore(with_a_page());
    sync.track("b1").due = true;
    let (start, merge) = read(&mut sync, 0, &[NOON]);
    assert_eq!((start, merge.reset, sync.resets()), (Start::Newest, true, 1));
}

#[test]
fn what_comes_live_is_shown_above_the_oldest_that_is_held() {
    let mut sync = windowed();
    read(&mut sync, 0, &[NOON]);
    let low = sync.track("b1").low;
    let merge = sync.take_in(row(NOON + 7, "you"), "me");
    assert_eq!((merge.from, seqs(&merge)), (low, vec![NOON + 7]));
}
