#!/bin/bash
# make gdb: the machine stopped at its first instruction; gdb attached, with the kernel's symbols.
set -euo pipefail
. "$(dirname "$0")/toolchain.sh"
cd "$ROOT"
DISK=$1
PORT=${PORT:-1234}
command -v gdb >/dev/null || { echo "gdb is missing: apt-get install -y --no-install-recommends gdb"; exit 1; }
choose_toolchains
scripts/image.sh
"${HOST_CARGO[@]}" build --quiet --release -p revenant-tools --bins
[ -f "$DISK" ] || scripts/disk.sh "$DISK" samples/demo.rasm
target/release/revenant boot "$DISK" --gdb "$PORT" </dev/null >build/logs/gdb-serial.log 2>&1 &
MACHINE=$!
trap 'kill $MACHINE 2>/dev/null || true' EXIT
echo "gdb: the serial log is build/logs/gdb-serial.log; breakpoint at the kernel's entry; 'c' goes there"
gdb -q build/revenant-kernel.elf -ex "target remote localhost:$PORT" -ex "hbreak kernel_main"
