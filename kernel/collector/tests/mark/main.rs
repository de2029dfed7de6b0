//! The mark against a tracer that shares no code with it, over real heaps on a simulated disk: exact on random graphs, resumed after a cut at
//! every write, incomplete when a page cannot be read, and within its figures.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod collected;
mod cuts;
mod damage;
mod exact;
mod figures;
mod graphs;
mod heaps;
mod lost;
mod machine;
#[path = "../../../../vm/tests/mutators/mod.rs"]
mod mutators;
mod oracle;
mod rig;
mod survivors;
#[path = "../../../../vm/tests/sweep_oracle/mod.rs"]
mod sweep_oracle;
mod tracer;
#[path = "../../../../vm/tests/world/mod.rs"]
mod world;
