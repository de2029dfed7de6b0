#!/bin/bash
# make demo: builds, makes a disk with the demo program, runs it, cuts its power several times, shows that it went on.
# Arguments are handed to the demo: scripts/demo.sh --cuts 20 --seed 7
set -euo pipefail
. "$(dirname "$0")/toolchain.sh"
cd "$ROOT"
choose_toolchains
scripts/image.sh
"${HOST_CARGO[@]}" build --quiet --release -p revenant-tools -p revenant-tests --bins
scripts/disk.sh build/demo.img samples/demo.ts
target/release/demo build/demo.img "$@"
