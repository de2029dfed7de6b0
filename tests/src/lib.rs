//! What the whole-system tests, the demo and the benches share: machines in QEMU, their logs, and a witness outside them.
//!
//! ```text
//!   log_line   one line of the serial log -> word and key=value fields          pure
//!   witness    did every thread go on exactly where its last snapshot stood?    pure, over log lines
//!   harness    a running machine: start, wait for a line, cut its power
//!   disks      disk images, made and checked by the `revenant` command
//!   pages      where the pages of an image stand, and how to destroy them
//!   figures    measurements, ratios, bars                             pure
//!   flips      figures of the flip, from the program's lines and the kernel's      pure, over log lines
//!   cuts       run, cut, resume, many times, under the witness                  the demo and the kill tests
//!   browser    a page in a browser: its picture, and what it says of itself
//!   tidy       the rules of the house, checked over the source tree             pure, over files
//! ```
//!
//! A test that boots QEMU is marked `#[ignore]`: a plain `cargo test` names it as ignored, `make test` runs it.
#![forbid(unsafe_code)]

mod bars;
pub mod browser;
pub mod collections;
pub mod cuts;
pub mod disks;
pub mod figures;
pub mod flips;
pub mod harness;
pub mod log_line;
pub mod machine_code;
pub mod pages;
pub mod tidy;
pub mod witness;
