#!/bin/bash
# Installs what is missing for the machine tests, and only that. Says what it does. Never asks.
#   Debian packages: QEMU, a C linker, OVMF (UEFI), Lua (a yardstick of `make bench`), Chromium (looks at the pages of reports)
#   the compiler of TypeScript, pinned by tests/typescript/package-lock.json: the samples of the language have to pass it, too
#   Rust for the kernel's target: two rustup components where rustup can download, else Debian's compiler
set -euo pipefail
. "$(dirname "$0")/toolchain.sh"

say() { echo "setup: $*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo -n "$@" || { say "needs root: sudo $*"; exit 1; }
    else say "needs root: run as root: $*"; exit 1; fi
}

# Installs those of the named packages that are not installed.
UPDATED=
apt_install() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || { say "this is no Debian; install: ${missing[*]}"; exit 1; }
    # An update that fails for one foreign source is not fatal: the install tells.
    [ -n "$UPDATED" ] || { as_root apt-get update -qq </dev/null || true; UPDATED=yes; }
    say "installing Debian packages: ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}

# QEMU under whatever name; packages only if the program is not there.
command -v qemu-system-x86_64 >/dev/null || apt_install qemu-system-x86
[ -f /usr/share/OVMF/OVMF_CODE.fd ] || apt_install ovmf
# Only the tests need the browser: the rest goes on without it.
command -v chromium >/dev/null || (apt_install chromium fonts-dejavu-core) \
    || say "no Chromium: what looks at the pages of \`revenant disk report\` will fail in \`make test\`"
command -v lua5.4 >/dev/null || apt_install lua5.4
command -v cc >/dev/null || apt_install gcc libc6-dev

# Bytes from the place that rustup downloads from, within ten seconds: else it would hang for minutes.
rustup_can_download() {
    local url=https://static.rust-lang.org/dist/rust-src-$PINNED.tar.xz
    if command -v curl >/dev/null; then curl -fsS -m 10 -r 0-1023 -o /dev/null "$url" 2>/dev/null
    elif command -v wget >/dev/null; then wget -q -T 10 -t 1 --spider "$url" 2>/dev/null
    else return 1; fi
}

bring_by_rustup() {
    [ "${REVENANT_METAL:-}" != debian ] || return 1
    local rustup
    rustup=$(command -v rustup || true)
    [ -n "$rustup" ] || { [ -x "$HOME/.cargo/bin/rustup" ] && rustup=$HOME/.cargo/bin/rustup; } || return 1
    rustup_can_download || { say "rustup is here but cannot download: Debian's packages instead"; return 1; }
    if [ -z "$RUSTUP_SYSROOT" ]; then
        say "rustup toolchain install $PINNED --profile minimal"
        timeout 600 "$rustup" toolchain install "$PINNED" --profile minimal --component clippy,rustfmt </dev/null || return 1
    fi
    say "rustup component add rust-src llvm-tools --toolchain $PINNED"
    timeout 600 "$rustup" component add rust-src llvm-tools --toolchain "$PINNED" </dev/null || return 1
}

bring_by_debian() {
    apt_install rustc-web cargo-web rust-web-src rust-web-llvm rust-web-clippy rustfmt-web
    local major
    major=$(/usr/bin/rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    apt_install "llvm-$major" "lld-$major"
}

choose_toolchains
if [ "$METAL" = none ] || [ ${#HOST_CARGO[@]} = 0 ]; then
    say "Rust for the kernel's target is missing: $METAL_MISSING"
    bring_by_rustup || bring_by_debian
    choose_toolchains
fi
[ "$METAL" != none ] || { say "still missing: $METAL_MISSING"; exit 1; }
[ ${#HOST_CARGO[@]} -gt 0 ] || { say "no Rust for the host: install rustup, or Debian's rustc-web"; exit 1; }
mkdir -p "$ROOT/build/logs" "$ROOT/build/typescript"
command -v node >/dev/null || apt_install nodejs
if ! cmp -s "$ROOT/tests/typescript/package-lock.json" "$ROOT/build/typescript/package-lock.json" \
    || [ ! -f "$ROOT/build/typescript/node_modules/typescript/bin/tsc" ]; then
    command -v npm >/dev/null || apt_install npm
    say "npm ci: TypeScript into build/typescript"
    cp "$ROOT"/tests/typescript/package*.json "$ROOT/build/typescript/"
    (cd "$ROOT/build/typescript" && npm ci --ignore-scripts --no-audit --no-fund </dev/null >/dev/null)
fi
say "ready: $("${HOST_CARGO[@]}" --version) for the host, $METAL for the kernel, $(qemu-system-x86_64 --version | head -n1)"
