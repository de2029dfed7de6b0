//! The limit: Belady's policy, which knows the future and lets that page go whose next touch is farthest.

use super::Trace;
use std::collections::BTreeSet;

/// The fewest misses that any policy can have with so many frames.
#[must_use]
pub fn fewest_misses(trace: &Trace, frames: u32) -> u64 {
    let never = trace.touches.len();
    let mut next = vec![never; trace.touches.len()];
    let mut seen = vec![never; trace.pages as usize];
    for (place, touch) in trace.touches.iter().enumerate().rev() {
        next[place] = core::mem::replace(&mut seen[touch.page as usize], place);
    }
    // Residents by their next touch; `due` says where a resident stands in it.
    let mut residents = BTreeSet::new();
    let mut due: Vec<Option<usize>> = vec![None; trace.pages as usize];
    let mut misses = 0;
    for (place, touch) in trace.touches.iter().enumerate() {
        match due[touch.page as usize].take() {
            Some(place) => {
                residents.remove(&(place, touch.page));
            }
            None => {
                misses += 1;
                if residents.len() as u64 >= u64::from(frames)
                    && let Some((_, page)) = residents.pop_last()
                {
                    due[page as usize] = None;
                }
            }
        }
        residents.insert((next[place], touch.page));
        due[touch.page as usize] = Some(next[place]);
    }
    misses
}
