#!/bin/bash
# make sim SEED=n: the core below the virtual machine on simulated hardware that misbehaves. The same seed, the same run;
# a failure prints the seed that repeats it.
set -euo pipefail
. "$(dirname "$0")/toolchain.sh"
cd "$ROOT"
choose_toolchains
exec "${HOST_CARGO[@]}" run --quiet --release -p revenant-pager --example simulate -- "$@"
