#!/usr/bin/env bash
# Runs the tests of the plugin boundary under valgrind: reads and writes outside of what is allocated, memory freed
# twice or not at all, on both sides of the boundary. Fails at the first suite that has an error.
#
# Needs valgrind. It does not know AVX-512 and hides it from the program, so the kernels for it are not covered.
# A minute or two once the tests are built; memory that is still reachable at the end, such as plugins that are never
# unloaded, is no error.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "memcheck: valgrind is not installed" >&2; exit 1; }

target=$(rustc --version --verbose | sed -n 's/^host: //p')
export "CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$target")_RUNNER=valgrind --quiet --error-exitcode=1 --num-callers=30 \
    --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite"
export RAYON_NUM_THREADS=2 CANDLE_NUM_THREADS=2

cargo test --release --package zoo-core --lib -- --test-threads=1 dlpack sdk::served
# Left out: what measures resident memory itself, and the panic with a payload of the author's own type,
# which is leaked on purpose because dropping it could panic again.
cargo test --release --package zoo-tests --test boundary --test boundary_ages --test boundary_faults -- \
    --test-threads=1 --skip leak_nothing --skip leaks_nothing --skip panic_without_a_text
