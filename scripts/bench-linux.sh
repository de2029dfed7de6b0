#!/bin/bash
# make bench-linux: the same operations in Debian's stock kernel and in ours, in the same machine, one after the other.
exec "$(dirname "$0")/bench.sh" --linux --only flip --only faults --only prepare --only page-in --only bandwidth "$@"
