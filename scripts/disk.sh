#!/bin/bash
# disk.sh IMAGE SOURCE [SIZE]: a fresh disk that holds one program, assembled from SOURCE. Needs target/release/revenant.
set -euo pipefail
cd "$(dirname "$0")/.."
IMAGE=$1
SOURCE=$2
SIZE=${3:-256M}
MODULE=build/$(basename "${SOURCE%.rasm}").rmod
mkdir -p build
echo "disk: revenant asm $SOURCE -o $MODULE && revenant disk create $IMAGE --size $SIZE --module $MODULE"
target/release/revenant asm "$SOURCE" -o "$MODULE"
rm -f "$IMAGE"
target/release/revenant disk create "$IMAGE" --size "$SIZE" --module "$MODULE"
