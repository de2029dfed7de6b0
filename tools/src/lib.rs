//! What the `revenant` command and the whole-system tests share.
//!
//! `compile` is the compiler with its mistakes drawn; `modules` are asm, disasm and verify; `run` a program on the host.
//! `disk` makes, lists and checks disk images.
//! `qemu` describes an emulated machine; `boot` starts one for a person. The tests in tests/ start the same machines.
#![forbid(unsafe_code)]

pub mod boot;
pub mod compile;
pub mod disk;
pub mod modules;
pub mod qemu;
pub mod repl;
pub mod run;
