#!/usr/bin/env bash
# The charts of docs/performance.md: images per second against batch, resolution, threads and encoders. Needs the
# program with its plugins (`cargo xtask stage`); takes a few minutes on two cores that have nothing else to do.
# ZOO is the program, ROUNDS how often everything has its turn.
set -euo pipefail
cd "$(dirname "$0")/.."

zoo=${ZOO:-target/release/zoo}
images=docs/images
rounds=${ROUNDS:-9}
encoder=(--random-weights --encoder dinov2-vit-s-14 --dtype f32,bf16 --rounds "$rounds")

"$zoo" bench --overwrite "${encoder[@]}" --resolution 224 --batch 1,2,4,8,16,32 --plot $images/growth-batch.svg
"$zoo" bench --overwrite "${encoder[@]}" --resolution 224,364,518,700 --plot $images/growth-resolution.svg
"$zoo" bench --overwrite "${encoder[@]}" --resolution 224 --batch 1,8 --threads 1,2 --plot $images/growth-threads.svg
"$zoo" bench --overwrite --ensemble trilobite-four --dtype f32,bf16 --rounds "$rounds" --plot $images/growth-encoders.svg
