//! Golden images of append-only tables (tests only): what a file holds may be appended to, never changed. And tables of
//! ISA.md, which are written from those of the code.
extern crate std;

use std::sync::Mutex;

/// Two tests may write ISA.md.
static REFERENCE: Mutex<()> = Mutex::new(());

/// Compares `text` with `golden/NAME`. With `REVENANT_BLESS` set, text that only appends replaces the file.
pub(crate) fn compare(name: &str, text: &str) {
    let path = std::format!("{}/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text.starts_with(&golden), "a row of golden/{name} was changed");
    if std::env::var_os("REVENANT_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    } else {
        assert!(text == golden, "{name}: new rows; run with REVENANT_BLESS=1 and commit the file");
    }
}

/// Compares `table` with the one of ISA.md that has the same first line. With `REVENANT_BLESS` set, replaces it.
pub(crate) fn compare_reference(table: &str) {
    let _alone = REFERENCE.lock().unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ISA.md");
    let page = std::fs::read_to_string(path).unwrap();
    let heading = table.lines().next().unwrap();
    let start = page.find(heading).expect("ISA.md has the table");
    let (before, rest) = page.split_at(start);
    let bytes: usize =
        rest.split_inclusive('\n').take_while(|line| line.starts_with('|')).map(str::len).sum();
    let (listed, after) = rest.split_at(bytes);
    if std::env::var_os("REVENANT_BLESS").is_some() {
        std::fs::write(path, std::format!("{before}{table}{after}")).unwrap();
    } else {
        assert!(listed == table, "ISA.md is behind {heading}: run with REVENANT_BLESS=1");
    }
}
