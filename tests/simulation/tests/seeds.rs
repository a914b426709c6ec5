//! Worlds that once found a mistake, and a bounded run of others. `npm run sim` looks for new ones.

use simulation::world::World;

/// Each of them broke a rule when it was found; what it found is in the message of the commit that mends it.
const FOUND: [u64; 115] = [
    5, 59, 70, 129, 189, 212, 242, 364, 432, 557, 627, 690, 957, 1010, 1021, 1242, 1279, 1314, 1836, 1966, 1993, 2367,
    2791, 2849, 2940, 3053, 3423, 5322, 11024, 15552, 16183, 19710, 22969, 30145, 30674, 52421, 70013, 70030, 70055,
    70162, 70190, 70218, 70855, 80177, 80188, 80204, 80208, 80650, 80833, 777206, 305663, 307134, 304155, 307098,
    111181, 300217, 301692, 303953, 304327, 606024, 505158, 506621, 506851, 509886, 513993, 516399, 613658, 613806,
    645740, 660533, 614146, 680640, 647982, 525288, 699742, 717878, 747195, 761689, 741982, 1010398, 761280, 757970,
    540610, 757861, 2027786, 3012601, 4003216, 4008448, 5002547, 5005925, 5007595, 5025859, 6003032, 77255, 140, 249,
    336, 360, 366, 398, 617, 734, 1961, 2896, 30006, 30281, 70147, 70293, 80580, 305575, 636856, 638049, 642861,
    644062, 662130,
];
const OTHERS: std::ops::Range<u64> = 3_000..3_080;

#[test]
fn worlds_that_found_a_mistake_and_a_few_others_break_no_rule() {
    let mut broken = Vec::new();
    for seed in FOUND.into_iter().chain(OTHERS) {
        if let Err(found) = World::new(seed).run() {
            broken.push((seed, found));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_same_seed_is_the_same_world() {
    let trace = |seed| {
        let mut world = World::new(seed);
        let _ = world.run();
        (world.trace, world.steps)
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}
