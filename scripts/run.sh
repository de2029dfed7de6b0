#!/bin/bash
# make run: the machine for a person. The disk is made the first time, with the program named, and kept.
set -euo pipefail
. "$(dirname "$0")/toolchain.sh"
cd "$ROOT"
DISK=$1
MEMORY=$2
PROGRAM=$3
choose_toolchains
scripts/image.sh
"${HOST_CARGO[@]}" build --quiet --release -p revenant-tools --bins
[ -f "$DISK" ] || scripts/disk.sh "$DISK" "$PROGRAM"
echo "run: this terminal is the console; Ctrl-T shows the state of memory and disk; Ctrl-A X pulls the plug; 'make run' again goes on from there; 'rm $DISK' starts anew; 'CMDLINE= make run' shows the kernel's log"
exec target/release/revenant boot "$DISK" --memory "$MEMORY" --cmdline "${CMDLINE-quiet}"
