//! The documents of the front door say nothing that is not so: their links lead somewhere, their commands exist.
//!
//! That the commands also work as written is another step of `make test` (scripts/readme.sh).

use revenant_tests::harness::repository;
use std::fs;

const DOCUMENTS: [&str; 2] = ["README.md", "ARCHITECTURE.md"];

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).expect("the file is there")
}

/// Every text between two back quotes.
fn quoted(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| !line.starts_with("```"))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn every_link_and_every_path_leads_somewhere() {
    for document in DOCUMENTS {
        let text = read(document);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let is_path = |word: &&str| {
            word.contains('/')
                && !word.contains(' ')
                && !word.starts_with("build/")
                && !word.starts_with("opt/")
        };
        for path in links.chain(quoted(&text).into_iter().filter(is_path)) {
            assert!(
                path.starts_with("https://") || repository().join(path).exists(),
                "{document} names {path}, which does not exist"
            );
        }
    }
}

#[test]
fn every_make_target_named_is_one() {
    let makefile = read("Makefile");
    for document in DOCUMENTS {
        let text = read(document);
        let fenced = text.lines().filter(|line| line.starts_with("make "));
        for command in quoted(&text).into_iter().chain(fenced) {
            let Some(target) = command.strip_prefix("make ") else { continue };
            let target = target.split_whitespace().next().unwrap_or("");
            assert!(makefile.contains(&format!("\n{target}: ")), "{document}: no target {target}");
        }
    }
}
