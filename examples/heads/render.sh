#!/usr/bin/env bash
# Makes the portraits of this folder anew: examples/heads/render.sh ict_head.npz (see "Rendered portraits" in the README)
set -euo pipefail
model=$(realpath "$1")
out=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$out/../.."
common=(--head-model "$model" --out "$out" --seed 2026 --most-yaw 35 --processes 2)
python -m hrlm.synthetic render "${common[@]}" --numbers 7,31 --size 4096 --samples 6
python -m hrlm.synthetic render "${common[@]}" --numbers 0,2,13,14,20,22,29,36 --size 2048 --samples 8
