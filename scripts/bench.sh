#!/bin/bash
# make bench: the kernel's measurements in QEMU, then the table with the bars. `--linux` also runs Debian's kernel for comparison.
# Other arguments go to the bench program: --quick, --only NAME. `BENCH=quick make bench` repeats little: to see that it works.
set -euo pipefail
. "$(dirname "$0")/toolchain.sh"
cd "$ROOT"
LINUX=
if [ "${1:-}" = --linux ]; then LINUX=yes; shift; fi
if [ "${BENCH:-}" = quick ]; then set -- --quick "$@"; fi
choose_toolchains
BEGIN=$SECONDS
mkdir -p build/bench
scripts/image.sh
"${HOST_CARGO[@]}" build --quiet --release -p revenant-tools -p revenant-tests --bins
METRICS=(build/bench/store.txt build/bench/programs.txt build/bench/allocation.txt build/bench/mark.txt build/bench/language.txt)
echo "bench: the store on the host" >&2
target/release/revenant disk bench | tee build/bench/store.txt >&2
echo "bench: programs on the host" >&2
"${HOST_CARGO[@]}" bench --quiet -p revenant-vm --bench programs | tee build/bench/programs.txt >&2
echo "bench: allocation on the host" >&2
"${HOST_CARGO[@]}" bench --quiet -p revenant-vm --bench allocation | tee build/bench/allocation.txt >&2
echo "bench: marks on the host" >&2
"${HOST_CARGO[@]}" bench --quiet -p revenant-collector --bench mark | tee build/bench/mark.txt >&2
echo "bench: the language on the host" >&2
"${HOST_CARGO[@]}" bench --quiet -p revenant-tools --bench language | tee build/bench/language.txt >&2
if [ -n "$LINUX" ]; then
    echo "bench: Debian's kernel in the same machine" >&2
    scripts/linux-probe.sh | tee build/bench/linux.txt >&2
    METRICS+=(build/bench/linux.txt)
fi
target/release/bench "$@" "${METRICS[@]}" | tee build/bench/all.txt
echo "bench: $(((SECONDS - BEGIN) / 60)) minutes" >&2
