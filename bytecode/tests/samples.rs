//! Every sample assembles, verifies, survives its file form, and comes back the same from its own disassembly.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};

use revenant_bytecode::{assemble, decode, disassemble, encode, verify};

fn samples() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rasm") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn samples_assemble_verify_and_round_trip() {
    let samples = samples();
    assert!(samples.len() >= 7);
    for path in samples {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let module = assemble(&text, name).unwrap_or_else(|error| panic!("{name}:{error}"));
        let bytes = encode(&module);
        assert_eq!(decode(&bytes).unwrap(), module, "{name}");
        verify(module.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let listing = disassemble(&module);
        let again = assemble(&listing, name)
            .unwrap_or_else(|error| panic!("{name}: disassembly:{error}\n{listing}"));
        assert_eq!(again, module, "{name}\n{listing}");
    }
}
