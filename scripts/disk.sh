#!/bin/bash
# disk.sh IMAGE SOURCE [SIZE]: a fresh disk that holds one program, compiled from SOURCE.ts or assembled from SOURCE.rasm. Needs target/release/revenant.
set -euo pipefail
cd "$(dirname "$0")/.."
IMAGE=$1
SOURCE=$2
SIZE=${3:-256M}
MODULE=build/$(basename "${SOURCE%.*}").rmod
case $SOURCE in *.ts) STEP=compile ;; *) STEP=asm ;; esac
mkdir -p build
echo "disk: revenant $STEP $SOURCE -o $MODULE && revenant disk create $IMAGE --size $SIZE --module $MODULE"
target/release/revenant "$STEP" "$SOURCE" -o "$MODULE"
rm -f "$IMAGE"
target/release/revenant disk create "$IMAGE" --size "$SIZE" --module "$MODULE"
