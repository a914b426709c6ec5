//! Every input of the corpus, as it is and bent a little: what a search once found stays found.

use std::{fs, path::Path};

use surechat_fuzz::{TARGETS, mutate};

/// Of each input; always the same ones.
const BENT: u64 = 6;

#[test]
fn nothing_of_the_corpus_panics_hangs_or_loses_a_message() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut inputs = 0;
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a readable folder").path();
            println!("{}", path.display());
            let input = fs::read(&path).expect("a readable file");
            target(&input);
            for seed in 0..BENT {
                if let Some(bent) = mutate::json(&input, &mut fastrand::Rng::with_seed(seed)) {
                    println!("  bent by seed {seed}");
                    target(&bent);
                }
            }
            inputs += 1;
        }
        assert!(inputs > 0, "no corpus for {name}");
    }
}

#[test]
fn the_browser_reads_the_whole_corpus_too() {
    let browser = include_str!("../../browser/corpus.rs");
    for name in ["codec", "replies", "socket", "tokens", "values"] {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name)).expect("a folder") {
            let file = entry.expect("a readable folder").file_name().into_string().expect("a plain name");
            assert!(browser.contains(&format!("\"{file}\"")), "tests/browser/corpus.rs does not name {name}/{file}");
        }
    }
}
