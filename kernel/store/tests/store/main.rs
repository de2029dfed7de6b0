//! The store over a simulated disk, as its users see it. `common` drives the state machines and keeps the model.

mod common;
mod costs;
mod early;
mod histories;
mod joined;
mod matrix;
mod memory;
mod openers;
mod opening;
mod pages;
mod refusals;
mod rot;
mod snapshots;
mod space;
mod trim;
