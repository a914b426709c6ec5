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

/// Ten minutes are held, and there is more before them; something of this time was changed.
fn looks_back_to(at: u64) -> Sync {
    let mut sync = windowed();
    let start = sync.take_window(0).expect("it is due").1;
    let rows = vec![row(NOON - 10 * MINUTE, "you"), row(NOON, "you")];
    sync.window_answered(0, &start, Window { rows, full: true }, Some(NOON / 1_000));
    sync.track("b1").look_back(Some(at));
    sync
}

#[test]
fn what_was_changed_a_while_ago_is_read_again_once() {
    let whole = (NOON / MINUTE - 8) * MINUTE;
    for at in [whole, whole + 1] {
        let mut sync = looks_back_to(at);
        assert_eq!(read(&mut sync, 60_000, &[NOON]).0, Start::At(whole));
        assert!(!sync.is_due(60_000), "the window began there");
    }
}

#[test]
fn what_was_changed_before_the_window_under_way_begins_is_read_by_the_next_one() {
    let mut sync = looks_back_to(NOON - 5 * MINUTE);
    let start = sync.take_window(60_000).expect("it is due").1;
    sync.track("b1").look_back(Some(NOON - 8 * MINUTE));
    sync.window_answered(60_000, &start, Window { rows: Vec::new(), full: false }, Some(NOON / 1_000));
    assert_eq!(read(&mut sync, 120_000, &[NOON]).0, Start::At((NOON / MINUTE - 8) * MINUTE));
}

#[test]
fn what_is_older_than_all_that_is_held_is_not_looked_back_for() {
    let mut sync = looks_back_to(NOON - 20 * MINUTE);
    assert_eq!(read(&mut sync, 60_000, &[NOON]).0, Start::At((NOON / MINUTE - 2) * MINUTE));
}
