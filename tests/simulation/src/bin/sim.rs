//! `sim --worlds N [--seed S] [--trace]`: many worlds, one after another, and what they broke.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use simulation::{
    Broken, broken,
    faults::Fault,
    world::{PERIOD_MS, World},
};

const THREADS: u64 = 2;
const MOST_VIOLATIONS: usize = 500;
const MOST_LINES: usize = 25;

struct Options {
    worlds: u64,
    seed: u64,
    trace: bool,
}

#[derive(Default)]
struct Tally {
    worlds: u64,
    steps: u64,
    faults: Vec<u64>,
    slowest: u64,
    violations: Vec<(u64, Broken)>,
}

fn main() -> ExitCode {
    let Some(options) = read_options() else {
        eprintln!("sim --worlds N [--seed S] [--trace]");
        return ExitCode::from(2);
    };
    #[expect(clippy::disallowed_methods, reason = "a figure for the reader; nothing depends on it")]
    let begun = Instant::now();
    std::panic::set_hook(Box::new(|_| {}));
    let tally = Mutex::new(Tally { faults: vec![0; Fault::ALL.len()], ..Tally::default() });
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..if options.trace { 1 } else { THREADS } {
            scope.spawn(|| work(&options, &next, &tally));
        }
    });
    let mut tally = tally.into_inner().unwrap_or_default();
    tally.violations.sort_by_key(|(seed, _)| *seed);
    report(&tally, begun.elapsed().as_secs_f64());
    if tally.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn work(options: &Options, next: &AtomicU64, tally: &Mutex<Tally>) {
    loop {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        if nth >= options.worlds {
            return;
        }
        let seed = options.seed.wrapping_add(nth);
        let mut world = World::new(seed);
        world.prints = options.trace;
        let result = catch_unwind(AssertUnwindSafe(|| world.run()));
        let result = result.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(broken("no panic", text.unwrap_or_default()))
        });
        if options.trace {
            println!("trace {:016x}\n{}", world.trace, world.describe());
        }
        let Ok(mut tally) = tally.lock() else { return };
        tally.worlds += 1;
        tally.steps += world.steps;
        tally.slowest = tally.slowest.max(world.slowest);
        for (sum, count) in tally.faults.iter_mut().zip(world.weather.counts) {
            *sum += count;
        }
        if let Err(found) = result {
            tally.violations.push((seed, found));
            if tally.violations.len() >= MOST_VIOLATIONS {
                next.store(options.worlds, Ordering::Relaxed);
            }
        }
    }
}

fn report(tally: &Tally, seconds: f64) {
    println!("worlds      {:>12}", tally.worlds);
    println!("steps       {:>12}", tally.steps);
    println!("seconds     {seconds:>12.1}");
    println!(
        "slowest     {:>12.1}   seconds until every screen was right; the period is {}",
        tally.slowest as f64 / 1_000.0,
        PERIOD_MS / 1_000
    );
    println!("faults");
    for (fault, count) in Fault::ALL.iter().zip(&tally.faults) {
        println!("  {:<46}{count:>12}", fault.text());
    }
    println!("violations  {:>12}", tally.violations.len());
    let mut rules: Vec<&str> = tally.violations.iter().map(|(_, found)| found.rule).collect();
    rules.sort_unstable();
    for rule in rules.chunk_by(|one, other| one == other) {
        println!("  {:<46}{:>12}", rule[0], rule.len());
    }
    for (seed, found) in tally.violations.iter().take(MOST_LINES) {
        println!("  seed {seed}: {}: {}", found.rule, found.detail);
    }
}

fn read_options() -> Option<Options> {
    let mut options = Options { worlds: 1, seed: 1, trace: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--worlds" => options.worlds = arguments.next()?.replace(['_', ','], "").parse().ok()?,
            "--seed" => options.seed = arguments.next()?.parse().ok()?,
            "--trace" => options.trace = true,
            _ => return None,
        }
    }
    Some(options)
}
