#!/bin/bash
# All tests. `check`: what needs only Rust for the host. `all`: then the slow host tests and the machine in QEMU.
# Goes on after a failure, so that one run tells everything; the last line counts: `N passed, N failed`.
# A step that is no test (fmt, clippy, a build) counts only when it fails.
set -uo pipefail
. "$(dirname "$0")/toolchain.sh"
cd "$ROOT"
MODE=${1:-check}
PASSED=0
FAILED=0
FAILURES=()
LOGS=$ROOT/build/logs
mkdir -p "$LOGS"
choose_toolchains
[ ${#HOST_CARGO[@]} -gt 0 ] || { echo "Rust $PINNED is missing; 'make doctor' says what to do"; echo "0 passed, 1 failed"; exit 1; }
# Lua programs, QEMU and the tests themselves find the repository's cargo by this.
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}

# step NAME COMMAND...: runs it, shows it, keeps its output, counts the tests it reports.
step() {
    local name=$1 log started status passed failed
    log=$LOGS/test-${name// /-}.log
    shift
    echo "== $name"
    started=$SECONDS
    "$@" </dev/null 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    passed=$(sed -n 's/^test result: .* \([0-9]*\) passed; .*/\1/p' "$log" | paste -sd+ | bc_sum)
    failed=$(sed -n 's/^test result: .* \([0-9]*\) failed; .*/\1/p' "$log" | paste -sd+ | bc_sum)
    [ "$status" = 0 ] || [ "$failed" != 0 ] || failed=1
    PASSED=$((PASSED + passed))
    FAILED=$((FAILED + failed))
    [ "$failed" = 0 ] || FAILURES+=("$name ($log)")
    echo "== $name: $passed passed, $failed failed, $((SECONDS - started)) s"
}

# clippy for the kernel's target; left out, with a message, where this Rust has none.
lint_kernel() {
    local status=0
    scripts/metal-clippy || status=$?
    [ "$status" = 77 ] || return "$status"
}

# The sum of `a+b+c` on standard input; 0 for nothing.
bc_sum() { local sum; read -r sum || true; echo $((${sum:-0})); }

# The kernel and its images, built on the side while the host is tested: most of that is one compiler on one processor.
IMAGE=
IMAGE_LOG=$LOGS/test-image-build.log
if [ "$MODE" = all ]; then
    scripts/image.sh </dev/null >"$IMAGE_LOG" 2>&1 &
    IMAGE=$!
    trap 'kill "$IMAGE" 2>/dev/null' EXIT
fi

# What that came to: its messages, and its status.
show_image() { cat "$IMAGE_LOG"; return "$IMAGE_STATUS"; }

CARGO=("${HOST_CARGO[@]}")
# Another version than the pinned one formats and warns in its own way: that is no reason to fail.
if [ "$HOST_PINNED" = yes ]; then
    step fmt "${CARGO[@]}" fmt --all --check
    step clippy "${CARGO[@]}" clippy --quiet --all-targets -- -D warnings
else
    echo "== fmt and clippy are left out: this is not Rust $PINNED"
fi
step "host tests" "${CARGO[@]}" test --no-fail-fast
if [ "$MODE" = all ]; then
    IMAGE_STATUS=0
    wait "$IMAGE" || IMAGE_STATUS=$?
    trap - EXIT # that number may soon be another process's
    step image show_image
    step "kernel clippy" lint_kernel
    # Everything marked #[ignore]: what boots QEMU or is too slow for `make check`, but for the long forms of the fuzzer and of
    # mixed work, which are `make fuzz` and `make long`. One at a time: they use both processors, and their time limits are
    # meant for a machine that does nothing else.
    step "slow tests" "${CARGO[@]}" test --no-fail-fast -- --ignored --test-threads=1 --skip a_million --skip half_an_hour
    step "README" scripts/readme.sh
fi

if [ ${#FAILURES[@]} -gt 0 ]; then
    echo "Failed:"
    printf '  %s\n' "${FAILURES[@]}"
fi
echo "$PASSED passed, $FAILED failed"
[ "$FAILED" = 0 ]
