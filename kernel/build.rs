//! How the kernel is linked beyond what its target says: no two segments share a page of the file.
//!
//! The loader maps the file's pages where they lie. A page that held the end of the code and the beginning of the data was one
//! page of memory; an emulator takes every store to such a page for a change of code, and a page fault took two to four
//! times as long, or not, as the sizes of the segments happened to fall.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        println!("cargo:rustc-link-arg-bins=-zseparate-loadable-segments");
    }
}
