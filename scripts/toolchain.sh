# Sourced, never run: which Rust builds what. Sets and exports nothing but the variables named here.
#
#   HOST_CARGO     array: the command that is `cargo` for the host crates (pinned 1.95.0; without it, Debian's)
#   HOST_PINNED    yes if that is the pinned version: only then are new lints of the compiler errors
#   METAL          rustup | debian | none: where the Rust for the kernel's target comes from
#   METAL_MISSING  if none: what is missing, in words
#
# The kernel and the boot loader are built with -Zbuild-std: they need the sources of `core` and, for the boot loader's BIOS
# half, llvm-objcopy, found in the compiler's sysroot. rustup brings both as components. Debian's packages have the sources,
# and the tool under another name: for that a private sysroot of symbolic links is made under build/metal, so that nothing
# under /usr changes. REVENANT_METAL=rustup or =debian forces the choice;
# REVENANT_HOST=debian does so for the host crates.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PINNED=$(sed -n 's/^channel = "\(.*\)"/\1/p' "$ROOT/rust-toolchain.toml")
HOST_TRIPLE=x86_64-unknown-linux-gnu

# Never let a proxy download a toolchain behind our back: `make setup` says what it downloads.
export RUSTUP_AUTO_INSTALL=0

# The sysroot of a rustup toolchain that is the pinned version under any name, or nothing.
rustup_sysroot() {
    local rustup name
    rustup=$(command -v rustup || true)
    [ -n "$rustup" ] || { [ -x "$HOME/.cargo/bin/rustup" ] && rustup=$HOME/.cargo/bin/rustup; } || return 0
    for name in "$PINNED" stable; do
        if [ "$("$rustup" run "$name" rustc --version 2>/dev/null | cut -d' ' -f2)" = "$PINNED" ]; then
            "$rustup" run "$name" rustc --print sysroot
            return 0
        fi
    done
}

# The version of Debian's compiler, or nothing.
debian_version() {
    [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && /usr/bin/rustc --version 2>/dev/null | cut -d' ' -f2
}

version_at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n1)" = "$1" ]; }

# Whether a sysroot has what bare metal asks for.
has_sources() { [ -f "$1/lib/rustlib/src/rust/library/core/Cargo.toml" ]; }
has_llvm_tools() { [ -x "$1/lib/rustlib/$HOST_TRIPLE/bin/llvm-objcopy" ]; }

# Debian's llvm tools of the compiler's own LLVM, else of any.
debian_llvm_tool() {
    local major tool
    major=$(/usr/bin/rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    for tool in "/usr/bin/llvm-$1-$major" "/usr/bin/llvm-$1"; do
        [ -x "$tool" ] && { echo "$tool"; return 0; }
    done
    return 1
}

choose_toolchains() {
    local sysroot debian wanted=${REVENANT_METAL:-}
    RUSTUP_SYSROOT=$(rustup_sysroot)
    debian=$(debian_version || true)
    METAL=none
    METAL_MISSING="Rust $PINNED (rustup) or Debian's rustc-web"

    HOST_PINNED=no
    if [ -n "$RUSTUP_SYSROOT" ] && [ "${REVENANT_HOST:-}" != debian ]; then
        HOST_PINNED=yes
        HOST_CARGO=(env "PATH=$RUSTUP_SYSROOT/bin:$PATH" "$RUSTUP_SYSROOT/bin/cargo")
    elif [ -n "$debian" ] && version_at_least "$PINNED" "$debian"; then
        HOST_CARGO=(env "PATH=/usr/bin:$PATH" RUSTC=/usr/bin/rustc /usr/bin/cargo)
    else
        HOST_CARGO=()
    fi

    if [ -n "$RUSTUP_SYSROOT" ] && [ "$wanted" != debian ]; then
        if ! has_sources "$RUSTUP_SYSROOT"; then METAL_MISSING="rustup component rust-src"
        elif ! has_llvm_tools "$RUSTUP_SYSROOT"; then METAL_MISSING="rustup component llvm-tools"
        else METAL=rustup; return 0; fi
    fi
    if [ -n "$debian" ] && [ "$wanted" != rustup ]; then
        if ! version_at_least "$PINNED" "$debian"; then METAL_MISSING="rustc-web >= $PINNED (found $debian)"
        elif ! has_sources /usr; then METAL_MISSING="Debian package rust-web-src"
        elif ! [ -x /usr/bin/rust-lld ]; then METAL_MISSING="Debian package rust-web-llvm"
        elif ! debian_llvm_tool objcopy >/dev/null; then METAL_MISSING="Debian package llvm-22"
        else METAL=debian; fi
    fi
}

# Makes Debian's compiler look like rustup's: a sysroot that has the llvm tools, and a `rustc` that uses it.
make_debian_sysroot() {
    local sysroot=$ROOT/build/metal/sysroot bin=$ROOT/build/metal/bin entry tool
    local rustlib=$sysroot/lib/rustlib tools=$sysroot/lib/rustlib/$HOST_TRIPLE/bin
    mkdir -p "$tools" "$bin" "$sysroot/bin"
    for entry in /usr/lib/rustlib/*; do
        [ "$(basename "$entry")" = "$HOST_TRIPLE" ] || ln -sfn "$entry" "$rustlib/$(basename "$entry")"
    done
    for entry in /usr/lib/rustlib/$HOST_TRIPLE/*; do
        [ "$(basename "$entry")" = bin ] || ln -sfn "$entry" "$rustlib/$HOST_TRIPLE/$(basename "$entry")"
    done
    for entry in /usr/lib/rustlib/$HOST_TRIPLE/bin/*; do ln -sfn "$entry" "$tools/$(basename "$entry")"; done
    for tool in objcopy objdump; do ln -sfn "$(debian_llvm_tool $tool)" "$tools/llvm-$tool"; done
    ln -sfn /usr/bin/rust-lld "$tools/rust-lld"
    # Written beside and renamed: builds may run at the same time.
    printf '#!/bin/sh\nexec /usr/bin/rustc --sysroot "%s" "$@"\n' "$sysroot" >"$bin/rustc.$$"
    printf '#!/bin/sh\nexport RUSTC="%s/rustc"\nexec /usr/bin/cargo "$@"\n' "$bin" >"$bin/cargo.$$"
    chmod +x "$bin/rustc.$$" "$bin/cargo.$$"
    mv "$bin/rustc.$$" "$bin/rustc"
    mv "$bin/cargo.$$" "$bin/cargo"
}
