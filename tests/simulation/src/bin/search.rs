//! `search [--most N]`: every order in which small worlds can go, and what it broke. It fails, too, when it came to its
//! bound before it had seen them all.

use std::process::ExitCode;

use simulation::search::{Scope, search};

const USUAL: Scope = Scope {
    name: "",
    writers: &[0, 1],
    crashes: 1,
    lost: 1,
    repeats: 0,
    cancels: 0,
    evidence: false,
    tabs_hear_late: false,
};

const SCOPES: [Scope; 10] = [
    Scope { name: "the leader writes both", writers: &[0, 0], ..USUAL },
    Scope { name: "each tab writes one", ..USUAL },
    Scope { name: "the same, and tabs hear late", tabs_hear_late: true, ..USUAL },
    Scope { name: "the follower writes both", writers: &[1, 1], ..USUAL },
    Scope { name: "each writes one, and syncs tell", evidence: true, ..USUAL },
    Scope { name: "the browser repeats a request", repeats: 1, ..USUAL },
    Scope { name: "two answers are lost", lost: 2, ..USUAL },
    Scope { name: "three messages", writers: &[0, 1, 0], ..USUAL },
    Scope { name: "the first one is taken back", cancels: 1, ..USUAL },
    Scope { name: "taken back twice, and repeated", writers: &[1], repeats: 1, cancels: 2, ..USUAL },
];

const SHOWN_STEPS: usize = 60;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let most = match (arguments.next().as_deref(), arguments.next().and_then(|most| most.replace('_', "").parse().ok()))
    {
        (None, _) => 20_000_000,
        (Some("--most"), Some(most)) => most,
        _ => {
            eprintln!("search [--most STATES]");
            return ExitCode::from(2);
        }
    };
    let (mut states, mut violations, mut cut_short) = (0, 0, Vec::new());
    for scope in SCOPES {
        let report = search(scope, most);
        states += report.states;
        violations += report.violations.len();
        if report.cut_short {
            cut_short.push(scope.name);
        }
        let bound = if report.cut_short { ", stopped at its bound" } else { "" };
        println!(
            "{:<34}{:>10} states {:>8} ends  depth {:>4}  {} violations{bound}",
            scope.name,
            report.states,
            report.ends,
            report.deepest,
            report.violations.len()
        );
        for found in &report.violations {
            println!("  {}: {}", found.broken.rule, found.broken.detail);
            println!("    {:?}", found.path.iter().take(SHOWN_STEPS).collect::<Vec<_>>());
        }
    }
    println!("search: {states} states, {violations} violations, {} searches stopped at their bound", cut_short.len());
    for name in &cut_short {
        println!("  not searched to its end, so not proven: {name}");
    }
    if violations == 0 && cut_short.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
