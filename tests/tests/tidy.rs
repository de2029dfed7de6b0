//! The rules of the house over this tree. What they are, and their planted violations: tests/src/tidy.rs.

use revenant_tests::harness::repository;
use revenant_tests::tidy;

#[test]
fn the_house_is_in_order() {
    let files = tidy::read_tree(&repository()).expect("the tree is readable");
    assert!(files.len() > 30, "only {} files found: wrong folder?", files.len());
    let violations = tidy::check(&files);
    let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} violations:\n{}", list.len(), list.join("\n"));
}
