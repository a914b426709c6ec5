//! The one timer.

use std::{cell::RefCell, rc::Rc};

use gloo_timers::callback::Timeout;

use super::clock;
use crate::engine::Now;

/// The most that `setTimeout` understands: it counts in 32 bits with a sign.
pub const LONGEST_MS: u32 = i32::MAX as u32;
/// A timer that comes later than this slept with its page, or the clock was set.
const JUMP_MS: u64 = 5_000;

pub struct Timer {
    armed: Rc<RefCell<Option<(u64, Timeout)>>>,
    on_due: Rc<dyn Fn(Due)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    OnTime,
    AfterJump,
}

impl Timer {
    pub fn new(on_due: impl Fn(Due) + 'static) -> Self {
        Self { armed: Rc::default(), on_due: Rc::new(on_due) }
    }

    /// For this time on the monotonic clock and no other. A browser that rounds its clock may call a moment before it:
    /// then it is to be armed again.
    pub fn arm(&self, now: Now, due: Option<u64>) {
        let Some(due) = due else {
            self.armed.take();
            return;
        };
        if self.armed.borrow().as_ref().is_some_and(|(armed, _)| *armed == due && due > now.mono) {
            return;
        }
        let delay = due.saturating_sub(now.mono).min(u64::from(LONGEST_MS)) as u32;
        let (armed, on_due) = (Rc::clone(&self.armed), Rc::clone(&self.on_due));
        let timeout = Timeout::new(delay, move || {
            drop(armed.take());
            on_due(judge(now, clock::now(), u64::from(delay)));
        });
        self.armed.replace(Some((due, timeout)));
    }
}

/// Not every browser's monotonic clock goes on while the machine sleeps: the wall clock tells as well.
fn judge(armed: Now, fired: Now, delay: u64) -> Due {
    let late = |from: u64, to: u64| to.saturating_sub(from).saturating_sub(delay) > JUMP_MS;
    if late(armed.mono, fired.mono) || late(armed.wall, fired.wall) { Due::AfterJump } else { Due::OnTime }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test]
    fn a_timer_that_slept_on_either_clock_comes_after_a_jump() {
        let armed = Now { mono: 100, wall: 1_000_000 };
        let fired = |mono, wall| judge(armed, Now { mono: armed.mono + mono, wall: armed.wall + wall }, 1_000);
        assert_eq!(fired(1_000, 1_000), Due::OnTime);
        assert_eq!(fired(6_000, 6_000), Due::OnTime);
        assert_eq!(fired(6_001, 1_000), Due::AfterJump);
        assert_eq!(fired(1_000, 6_001), Due::AfterJump);
    }
}
