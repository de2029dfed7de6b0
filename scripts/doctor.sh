#!/bin/bash
# Names what is missing and the command that brings it. Changes nothing. Fails if something needed is missing.
set -uo pipefail
. "$(dirname "$0")/toolchain.sh"
FAILED=0
ok() { printf '  ok       %-28s %s\n' "$1" "$2"; }
missing() { printf '  MISSING  %-28s %s\n' "$1" "$2"; FAILED=1; }
optional() { printf '  absent   %-28s %s\n' "$1" "$2"; }

choose_toolchains
DEBIAN_RUST="apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src rust-web-llvm rust-web-clippy rustfmt-web llvm-22 lld-22"
echo "For 'make check':"
if [ ${#HOST_CARGO[@]} -gt 0 ]; then ok "Rust $PINNED" "$("${HOST_CARGO[@]}" --version)"
else missing "Rust $PINNED" "rustup toolchain install $PINNED --profile minimal --component clippy,rustfmt    or    $DEBIAN_RUST"; fi
if command -v cc >/dev/null; then ok "C linker" "$(cc --version | head -n1)"
else missing "C linker" "apt-get install -y gcc libc6-dev"; fi
for tool in cargo-clippy rustfmt; do
    if [ -x "${RUSTUP_SYSROOT:-/usr}/bin/$tool" ]; then ok "$tool" "${RUSTUP_SYSROOT:-/usr}/bin/$tool"
    elif [ -n "$RUSTUP_SYSROOT" ]; then missing "$tool" "rustup component add ${tool#cargo-} --toolchain $PINNED"
    else missing "$tool" "$DEBIAN_RUST"; fi
done
echo "For 'make demo', 'make run', 'make test':"
if [ "$METAL" != none ]; then ok "Rust for the kernel's target" "by $METAL"
else missing "Rust for the kernel's target" "rustup component add rust-src llvm-tools --toolchain $PINNED    or    $DEBIAN_RUST"; fi
if command -v qemu-system-x86_64 >/dev/null; then ok QEMU "$(qemu-system-x86_64 --version | head -n1)"
else missing QEMU "apt-get install -y --no-install-recommends qemu-system-x86"; fi
if [ -f /usr/share/OVMF/OVMF_CODE.fd ]; then ok "OVMF (UEFI firmware)" /usr/share/OVMF/OVMF_CODE.fd
else missing "OVMF (UEFI firmware)" "apt-get install -y --no-install-recommends ovmf"; fi
if command -v chromium >/dev/null; then ok Chromium "$(chromium --version 2>/dev/null)"
else missing Chromium "apt-get install -y --no-install-recommends chromium fonts-dejavu-core"; fi
echo "For 'make bench' and 'make gdb':"
if command -v lua5.4 >/dev/null; then ok "Lua 5.4" "$(lua5.4 -v)"
else optional "Lua 5.4" "apt-get install -y --no-install-recommends lua5.4"; fi
if command -v gdb >/dev/null; then ok gdb "$(gdb --version | head -n1)"
else optional gdb "apt-get install -y --no-install-recommends gdb"; fi
[ $FAILED = 0 ] || { echo "'make setup' does all of the above that is missing."; exit 1; }
echo "Everything is here."
