//! Golden images of append-only tables (tests only): what a file holds may be appended to, never changed.
extern crate std;

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
