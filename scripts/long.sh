#!/bin/bash
# make long: half an hour of mixed work in far more memory than there is RAM, with cuts. The machine's logs are build/logs/mixed-long-*.log;
# the disk image, below build/scratch/, takes up to 10 GiB.
set -euo pipefail
. "$(dirname "$0")/toolchain.sh"
cd "$ROOT"
choose_toolchains
scripts/image.sh
"${HOST_CARGO[@]}" build --quiet -p revenant-tools
exec "${HOST_CARGO[@]}" test --quiet -p revenant-tests --test machine_mixed -- --ignored --nocapture half_an_hour
