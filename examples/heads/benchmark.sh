#!/usr/bin/env bash
# Renders the rest of the rendered benchmark, six portraits at 4096 pixels and 24 at 2048, beside those of this folder:
# examples/heads/benchmark.sh ict_head.npz OUT (see "Rendered portraits" in the README). Some hours on two CPU cores;
# run it again to go on.
set -euo pipefail
model=$(realpath "$1")
out=$(realpath -m "$2")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$out"
cp "$here"/head-* "$out"
cd "$here/../.."
common=(--head-model "$model" --out "$out" --seed 2026 --most-yaw 35 --processes 2)
python -m hrlm.synthetic render "${common[@]}" --numbers 23,24,25,26 --size 4096 --samples 6
python -m hrlm.synthetic render "${common[@]}" --numbers 1,3,4,5,6,8,9,10,11,12,15,16,17,18,19,21 --size 2048 --samples 4
