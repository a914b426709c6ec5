//! How long it takes until everything is stored while the server fails at random, over many dice.

use super::*;

const MESSAGES: u8 = 200;
const EVERY_MS: u64 = 20;
const LATENCY_MS: u64 = 20;
const RUNS: u64 = 2_000;
/// What a fault may cost.
const ALLOWED_MS: u64 = 15_000;

/// Messages of five conversations are written for four seconds; `fails` of a hundred requests are answered with
/// `code`, and of those that ask for news as well. Answers when the last message was stored.
fn run(seed: u64, fails: u8, code: u16) -> u64 {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut outbox = Outbox::new(true, dice.u64(..));
    let (mut now, mut written) = (0, 0);
    let (mut asks_at, mut asked_in_vain) = (1_000, false);
    while written < MESSAGES || !outbox.is_empty() {
        let writes_at = (written < MESSAGES).then_some(u64::from(written) * EVERY_MS);
        now = writes_at.into_iter().chain(outbox.deadline()).fold(asks_at, u64::min).max(now);
        if asks_at <= now {
            asks_at = now + 1_000;
            if dice.u8(..100) < fails {
                asked_in_vain = true;
            } else {
                if std::mem::take(&mut asked_in_vain) {
                    outbox.resume();
                }
                outbox.probe_soon(now);
            }
        }
        if writes_at.is_some_and(|at| at <= now) {
            written += 1;
            outbox.add(u64::from(written), envelope(["a", "b", "c", "d", "e"][dice.usize(..5)], written));
        }
        let carried: Vec<u8> = outbox.take_request(now).into_iter().map(|row| row.id.as_str()).map(number).collect();
        if carried.is_empty() {
            continue;
        }
        now += LATENCY_MS;
        let stored: Vec<(u8, &str)> = carried.into_iter().map(|n| (n, "stored")).collect();
        let fails = dice.u8(..100) < fails;
        finish(&mut outbox, now, if fails { status(code) } else { answer(&stored) });
    }
    now
}

fn number(id: &str) -> u8 {
    u8::from_str_radix(&id[id.len() - 2..], 16).expect("the last byte of the id")
}

/// How many of a thousand runs took longer than is allowed, and the longest.
fn late(fails: u8, code: u16) -> (f64, u64) {
    let times: Vec<u64> = (0..RUNS).map(|seed| run(seed, fails, code)).collect();
    let late = times.iter().filter(|time| **time > ALLOWED_MS).count();
    (late as f64 * 1_000.0 / RUNS as f64, times.into_iter().max().unwrap_or_default())
}

/// Nothing is stored: the pauses after those of the rhythm, each with the time that has passed since the first.
fn pauses(seed: u64, failed: &dyn Fn() -> Outcome) -> Vec<(u64, u64)> {
    let mut outbox = Outbox::new(true, seed);
    outbox.add(1, envelope("a", 1));
    let (mut now, mut first, mut pauses) = (0, None, Vec::new());
    while pauses.len() < 120 {
        assert_eq!(take(&mut outbox, now), ["message 1"]);
        finish(&mut outbox, now, failed());
        let until = outbox.deadline().expect("an end");
        if phases(&outbox, "a") != ["backing_off"] {
            assert!(until >= now + 250);
            pauses.push((now - *first.get_or_insert(now), until - now));
        }
        now = until;
    }
    pauses
}

/// The longest first pause over many dice, the longest second one, and so on.
fn longest(pauses: impl Fn(u64) -> Vec<u64>) -> [u64; 9] {
    let mut longest = [0; 9];
    for pauses in (0..200).map(pauses) {
        for (longest, pause) in longest.iter_mut().zip(pauses) {
            *longest = (*longest).max(pause);
        }
    }
    longest
}

fn assert_near(longest: [u64; 9], within: [u64; 9]) {
    for (longest, within) in longest.into_iter().zip(within) {
        assert!(longest <= within && longest > within * 9 / 10, "{longest} of {within}");
    }
}

const DOUBLING: [u64; 9] = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000];

#[test]
fn when_nothing_was_stored_for_20_seconds_probes_and_pauses_double_up_to_a_minute() {
    for code in [503, 429] {
        let only = |seed, is_wanted: fn(u64) -> bool| {
            let pauses = pauses(seed, &|| status(code)).into_iter();
            pauses.filter(|(at, _)| is_wanted(*at)).map(|(_, pause)| pause).collect()
        };
        assert_near(longest(|seed| only(seed, |at| at < 20_000)), [1_000; 9]);
        assert_near(longest(|seed| only(seed, |at| at >= 20_000)), DOUBLING);
    }
}

#[test]
fn what_is_stored_begins_the_20_seconds_anew() {
    let pauses_later = |seed| {
        let mut outbox = Outbox::new(true, seed);
        let limited = |outbox: &mut Outbox, now: u64| {
            assert_eq!(take(outbox, now).len(), 1);
            finish(outbox, now, status(429));
            outbox.deadline().expect("an end")
        };
        outbox.add(1, envelope("a", 1));
        let mut now = limited(&mut outbox, 0);
        take(&mut outbox, now);
        finish(&mut outbox, now, answer(&[(1, "stored")]));
        outbox.add(2, envelope("a", 2));
        now += 20_000;
        let mut pauses = Vec::new();
        while pauses.len() < 9 {
            let until = limited(&mut outbox, now);
            pauses.push(until - now);
            now = until;
        }
        pauses
    };
    assert_near(longest(pauses_later), [1_000; 9]);
}

#[test]
fn probes_of_what_has_a_reason_of_its_own_grow_at_once() {
    let alone =
        |seed| pauses(seed, &|| answer(&[(1, "no_conversation")])).into_iter().map(|(_, pause)| pause).collect();
    assert_near(longest(alone), DOUBLING);
}

#[test]
fn half_of_all_requests_answered_503_cost_no_more_than_15_seconds() {
    let (late, longest) = late(50, 503);
    assert!(late <= 1.0, "{late} of 1,000 runs, up to {longest} ms");
}

#[test]
fn three_of_ten_requests_answered_429_cost_no_more_than_15_seconds() {
    let (late, longest) = late(30, 429);
    assert!(late <= 1.0, "{late} of 1,000 runs, up to {longest} ms");
}
