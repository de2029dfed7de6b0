#!/bin/bash
# Builds the kernel and makes the boot images of it: build/revenant-bios.img, build/revenant-uefi.img.
# The first time the boot loader is built, too: two to three minutes. Afterwards only the kernel: seconds.
set -euo pipefail
. "$(dirname "$0")/toolchain.sh"
cd "$ROOT"
choose_toolchains
mkdir -p build
PROFILE=${REVENANT_PROFILE:-release}
KERNEL=target/metal-$METAL/x86_64-revenant/$PROFILE/revenant-kernel
BOOT=target/metal-$METAL/release/revenant-boot
scripts/metal-cargo --config kernel/bare-metal.toml build -p revenant-kernel --target kernel/x86_64-revenant.json --profile "$PROFILE"
if ! [ -x "$BOOT" ]; then echo "image: building the boot loader, once: two to three minutes"; fi
# The boot loader's stages without debugger's tables, which nobody reads: a tenth of the time of building them.
CARGO_PROFILE_STAGE_3_DEBUG=0 CARGO_PROFILE_STAGE_4_DEBUG=0 scripts/metal-cargo build --quiet -p revenant-boot --release
cp "$KERNEL" build/revenant-kernel.elf.part$$ && mv build/revenant-kernel.elf.part$$ build/revenant-kernel.elf
if [ "$BOOT" -nt build/revenant-bios.img ] || [ "$KERNEL" -nt build/revenant-bios.img ] || ! [ -f build/revenant-uefi.img ]; then
    # Without symbols and the debugger's tables, which the boot loader would read at every boot: ten times the kernel itself.
    objcopy --strip-all "$KERNEL" build/revenant-kernel.boot.elf 2>/dev/null || cp "$KERNEL" build/revenant-kernel.boot.elf
    "$BOOT" build/revenant-kernel.boot.elf build/revenant-bios.img build/revenant-uefi.img
fi
echo "image: build/revenant-bios.img build/revenant-uefi.img ($(stat -c %s build/revenant-kernel.elf) bytes of kernel)"
