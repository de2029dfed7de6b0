#!/bin/bash
# Runs the commands of README.md as they are written there: every line of every ```sh block, in order. Counts each as a test.
set -uo pipefail
cd "$(dirname "$0")/.."
PASSED=0
FAILED=0
COMMANDS=$(awk '/^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside && NF' README.md)
[ -n "$COMMANDS" ] || { echo "README.md has no commands"; FAILED=1; }
while IFS= read -r command; do
    [ -n "$command" ] || continue
    echo "README: $command"
    if timeout 900 bash -c "$command" </dev/null; then PASSED=$((PASSED + 1)); else FAILED=$((FAILED + 1)); echo "README: failed: $command"; fi
done <<<"$COMMANDS"
echo "test result: README commands. $PASSED passed; $FAILED failed;"
[ "$FAILED" = 0 ]
