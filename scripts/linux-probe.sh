#!/bin/bash
# Runs the C probe (tests/linux_probe) in Debian's stock kernel under the same QEMU; prints its metric lines. The kernel's
# package is downloaded and unpacked below build/linux, not installed.
set -euo pipefail
. "$(dirname "$0")/toolchain.sh"
cd "$ROOT"
choose_toolchains
FOLDER=$ROOT/build/linux
mkdir -p "$FOLDER"
command -v apt-get >/dev/null || { echo "linux-probe: needs Debian's apt-get for the stock kernel" >&2; exit 1; }
if ! ls "$FOLDER"/tree/boot/vmlinuz-* >/dev/null 2>&1; then
    PACKAGE=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n1)
    [ -n "$PACKAGE" ] || { echo "linux-probe: apt knows no linux-image-amd64; run apt-get update" >&2; exit 1; }
    echo "linux-probe: downloading $PACKAGE into build/linux (70 MB, not installed)" >&2
    (cd "$FOLDER" && ls "$PACKAGE"_*.deb >/dev/null 2>&1 || (cd "$FOLDER" && apt-get download -q "$PACKAGE" >&2 2>/dev/null))
    rm -rf "$FOLDER/unpacked" && mkdir -p "$FOLDER/unpacked"
    dpkg-deb --fsys-tarfile "$FOLDER"/linux-image-*.deb | tar x -C "$FOLDER/unpacked" --wildcards './boot/vmlinuz-*' \
        './lib/modules/*/kernel/drivers/virtio/*' './lib/modules/*/kernel/drivers/block/virtio_blk.ko*'
    mv "$FOLDER/unpacked" "$FOLDER/tree"
fi
cc -static -O2 -Wall -Wextra -o "$FOLDER/probe" tests/linux_probe/probe.c
MODULES=()
for name in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
    MODULES+=("$(find "$FOLDER/tree/lib/modules" -name "$name.ko" | head -n1)")
done
truncate -s 512M "$FOLDER/disk.img"
"${HOST_CARGO[@]}" build --quiet --release -p revenant-tests --bins
target/release/bench_linux "$FOLDER"/tree/boot/vmlinuz-* "$FOLDER/probe" "$FOLDER/disk.img" "${MODULES[@]}"
