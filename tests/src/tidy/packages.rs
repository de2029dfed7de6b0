//! Rules over the workspace's packages: one-way layers, inherited lints, no test that nobody runs.

use super::{SourceFile, Violation};
use std::collections::BTreeMap;
use toml::Table;

/// A member of the workspace.
struct Package<'tree> {
    manifest: &'tree SourceFile,
    /// The folder, without a slash at its end.
    folder: &'tree str,
    name: String,
    layer: Option<i64>,
    table: Table,
}

/// Checks every package.
pub fn check(files: &[SourceFile], violations: &mut Vec<Violation>) {
    let packages = read_packages(files, violations);
    let layers: BTreeMap<&str, Option<i64>> =
        packages.iter().map(|package| (package.name.as_str(), package.layer)).collect();
    for package in &packages {
        check_layer(package, &layers, violations);
        let inherits = lookup(&package.table, &["lints", "workspace"]);
        if inherits.and_then(toml::Value::as_bool) != Some(true) {
            let message = "needs [lints] workspace = true";
            violations.push(Violation::new(&package.manifest.path, 0, message));
        }
    }
    check_tests_are_reached(files, &packages, violations);
}

fn lookup<'table>(table: &'table Table, keys: &[&str]) -> Option<&'table toml::Value> {
    let (first, rest) = keys.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(key))
}

fn read_packages<'tree>(
    files: &'tree [SourceFile],
    violations: &mut Vec<Violation>,
) -> Vec<Package<'tree>> {
    let mut packages = Vec::new();
    for manifest in files {
        let Some(folder) = manifest.path.strip_suffix("/Cargo.toml") else { continue };
        let table: Table = match manifest.text.parse() {
            Ok(table) => table,
            Err(error) => {
                violations.push(Violation::new(&manifest.path, 0, format!("{error}")));
                continue;
            }
        };
        // A fuzz package is a workspace of its own and runs under its own tool.
        if table.contains_key("workspace") {
            continue;
        }
        let name = lookup(&table, &["package", "name"]).and_then(toml::Value::as_str);
        let layer = lookup(&table, &["package", "metadata", "layer"]);
        packages.push(Package {
            manifest,
            folder,
            name: name.unwrap_or(folder).to_owned(),
            layer: layer.and_then(toml::Value::as_integer),
            table,
        });
    }
    packages
}

/// Every dependency inside the workspace goes down. What only tests use may stand on the same layer.
fn check_layer(
    package: &Package<'_>,
    layers: &BTreeMap<&str, Option<i64>>,
    violations: &mut Vec<Violation>,
) {
    let path = &package.manifest.path;
    let Some(own) = package.layer else {
        let message = "needs [package.metadata] layer = N (ARCHITECTURE.md, the layers)";
        violations.push(Violation::new(path, 0, message));
        return;
    };
    for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
        let Some(dependencies) = package.table.get(section).and_then(toml::Value::as_table) else {
            continue;
        };
        for name in dependencies.keys() {
            let Some(Some(other)) = layers.get(name.as_str()) else { continue };
            let allowed = if section == "dev-dependencies" { *other <= own } else { *other < own };
            if !allowed {
                let message =
                    format!("layer {own} depends on {name} of layer {other}: only downwards");
                violations.push(Violation::new(path, 0, message));
            }
        }
    }
}

/// `make test` runs `cargo test` over the default members, twice: once plainly, once with what is ignored. So a test is
/// reached if its package is a default member and its target is an ordinary test target.
fn check_tests_are_reached(
    files: &[SourceFile],
    packages: &[Package<'_>],
    violations: &mut Vec<Violation>,
) {
    let script = files.iter().find(|file| file.path == "scripts/test.sh");
    for (needed, why) in
        [("test --no-fail-fast", "host tests"), ("--ignored", "slow tests and machine tests")]
    {
        if !script.is_some_and(|file| file.text.contains(needed)) {
            let message = format!("must run cargo with {needed:?}: {why}");
            violations.push(Violation::new("scripts/test.sh", 0, message));
        }
    }
    let root = files.iter().find(|file| file.path == "Cargo.toml");
    let root: Table = root.and_then(|file| file.text.parse().ok()).unwrap_or_default();
    let defaults: Vec<&str> = lookup(&root, &["workspace", "default-members"])
        .and_then(toml::Value::as_array)
        .map(|members| members.iter().filter_map(toml::Value::as_str).collect())
        .unwrap_or_default();
    for package in packages {
        check_targets(package, violations);
        if defaults.contains(&package.folder) {
            continue;
        }
        let nested = |path: &str| {
            packages.iter().any(|other| {
                other.folder.len() > package.folder.len()
                    && path.starts_with(&format!("{}/", other.folder))
            })
        };
        let prefix = format!("{}/", package.folder);
        for file in files
            .iter()
            .filter(|file| file.is_rust() && file.path.starts_with(&prefix) && !nested(&file.path))
        {
            if file.text.contains("#[test]") {
                let message = format!("a test in {}, which make test does not run", package.name);
                violations.push(Violation::new(&file.path, 0, message));
            }
        }
    }
}

/// Switches in a manifest that would take a target away from `cargo test`.
fn check_targets(package: &Package<'_>, violations: &mut Vec<Violation>) {
    let mut complain = |message: String| {
        violations.push(Violation::new(&package.manifest.path, 0, message));
    };
    if lookup(&package.table, &["package", "autotests"]).is_some() {
        complain("autotests may not be set: test files would be left out".to_owned());
    }
    for kind in ["lib", "bin", "test"] {
        let targets: Vec<&Table> = match package.table.get(kind) {
            Some(toml::Value::Array(array)) => array.iter().filter_map(|v| v.as_table()).collect(),
            Some(toml::Value::Table(table)) => vec![table],
            _ => continue,
        };
        for target in targets {
            let off = ["test", "harness"]
                .iter()
                .any(|key| target.get(*key).and_then(toml::Value::as_bool) == Some(false));
            // The kernel's binary has no host to run on: it has no tests, and the rule above sees to that.
            let hidden = target.contains_key("required-features") || (off && kind == "test");
            if hidden {
                complain(format!("a [{kind}] target that a plain cargo test passes over"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "cargo test --no-fail-fast; cargo test -- --ignored";

    fn manifest(name: &str, layer: &str, rest: &str) -> String {
        format!(
            "[package]\nname = \"{name}\"\n[package.metadata]\n{layer}\n[lints]\nworkspace = true\n{rest}"
        )
    }

    fn violations(low: &str, high: &str) -> Vec<String> {
        let files = [
            SourceFile::new("Cargo.toml", "[workspace]\ndefault-members = [\"low\", \"high\"]"),
            SourceFile::new("scripts/test.sh", SCRIPT),
            SourceFile::new("low/Cargo.toml", low),
            SourceFile::new("high/Cargo.toml", high),
            SourceFile::new("bare/Cargo.toml", &manifest("bare", "layer = 9", "")),
            SourceFile::new("bare/src/main.rs", "fn main() {}"),
        ];
        let mut violations = Vec::new();
        check(&files, &mut violations);
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_tidy_workspace_passes_and_each_planted_disorder_is_caught() {
        let low = manifest("low", "layer = 0", "");
        let high = manifest("high", "layer = 1", "[dependencies]\nlow.workspace = true");
        assert_eq!(violations(&low, &high), Vec::<String>::new());

        let upwards = manifest("low", "layer = 0", "[dependencies]\nhigh.workspace = true");
        assert!(violations(&upwards, &high)[0].contains("only downwards"));
        let sideways = manifest("high", "layer = 0", "[dependencies]\nlow.workspace = true");
        assert!(violations(&low, &sideways)[0].contains("only downwards"));
        let testing = manifest("high", "layer = 0", "[dev-dependencies]\nlow.workspace = true");
        assert_eq!(violations(&low, &testing), Vec::<String>::new());

        assert!(
            violations(&manifest("low", "", ""), &high)[0].contains("needs [package.metadata]")
        );
        assert!(violations(&low.replace("true", "false"), &high)[0].contains("needs [lints]"));
        let hidden = manifest("low", "layer = 0", "[[test]]\nname = \"x\"\nharness = false");
        assert!(violations(&hidden, &high)[0].contains("passes over"));
    }

    #[test]
    fn planted_a_test_outside_the_default_members_is_caught() {
        let files = [
            SourceFile::new("Cargo.toml", "[workspace]\ndefault-members = []"),
            SourceFile::new("scripts/test.sh", SCRIPT),
            SourceFile::new("bare/Cargo.toml", &manifest("bare", "layer = 9", "")),
            SourceFile::new("bare/src/main.rs", "#[test]\nfn lonely() {}"),
        ];
        let mut violations = Vec::new();
        check(&files, &mut violations);
        assert!(violations[0].message.contains("does not run"), "{violations:?}");
    }
}
