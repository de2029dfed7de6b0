//! The rules of the house over this tree, and the table of planted bugs against the tests that it names. What the rules are, and their planted violations: tests/src/tidy.rs.

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

/// The words between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// ARCHITECTURE.md says which test sees which planted bug; a row that names what is not there any more is worse than none.
#[test]
fn every_planted_bug_of_the_table_is_switched_on_by_the_tests_that_it_names() {
    let text = std::fs::read_to_string(repository().join("ARCHITECTURE.md")).expect("it is there");
    let table = text.split("| bug | switch | seen by |").nth(1).expect("the table is there");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split(" | ").collect())
        .collect();
    assert!(rows.len() >= 16, "{} rows", rows.len());
    for row in rows {
        let [bug, switches, files] = row[..] else { panic!("three columns: {row:?}") };
        let names = quoted(switches).into_iter().filter_map(|path| path.rsplit("::").next());
        let names: Vec<&str> = names.collect();
        let texts: Vec<(&str, String)> = quoted(files)
            .into_iter()
            .map(|file| (file, std::fs::read_to_string(repository().join(file)).expect(file)))
            .collect();
        for name in &names {
            let used = texts.iter().any(|(_, text)| text.contains(&format!("::{name}")));
            assert!(used, "{bug}: no test named there switches {name} on");
        }
        for (file, text) in &texts {
            let uses = names.iter().any(|name| text.contains(&format!("::{name}")));
            assert!(uses, "{bug}: {file} has nothing of it");
        }
    }
}
