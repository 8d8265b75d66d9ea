#!/usr/bin/env bash
# Type-checks the workspace with feature `cuda` on a machine without a GPU and without the toolkit: docs/cuda.md.
#
#   scripts/cuda-check.sh             fetch the toolkit into .cuda/ if it is not there, then check
#   scripts/cuda-check.sh --toolkit   only fetch it
#   scripts/cuda-check.sh ARGUMENT... cargo's arguments instead of `check --workspace --exclude zoo-benches`
#
# Needs Linux on x86-64, python3 with pip, unzip, a C++ compiler, and network for the first run (105 MB; 270 MB
# unpacked). Takes about ten minutes on two cores, most of it nvcc.
set -euo pipefail
cd "$(dirname "$0")/.."

toolkit=$PWD/.cuda/toolkit
if [ ! -x "$toolkit/bin/nvcc" ]; then
    rm -rf .cuda/wheels .cuda/unpacked "$toolkit"
    # 13.0 and not newer: a newer nvcc writes a newer PTX version than a driver of the 580 series takes.
    python3 -m pip download --no-deps --dest .cuda/wheels \
        nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 \
        nvidia-cuda-cccl==13.0.85 nvidia-cuda-runtime==13.0.96
    for wheel in .cuda/wheels/*.whl; do
        unzip -qo "$wheel" 'nvidia/cu13/*' -d .cuda/unpacked
    done
    mv .cuda/unpacked/nvidia/cu13 "$toolkit"
    rm -r .cuda/wheels .cuda/unpacked
    ln -s lib "$toolkit/lib64"
    chmod -R u+x "$toolkit/bin" "$toolkit/nvvm/bin"
fi
[ "${1:-}" = --toolkit ] && exit

export CUDA_HOME=$toolkit PATH=$toolkit/bin:$PATH
export CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-90}" CUDAFORGE_THREADS=1 NVCC_APPEND_FLAGS=--compress-mode=size
# A folder of its own: other features and other environment variables would rebuild the default build each time.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/cuda"
[ $# -gt 0 ] || set -- check --workspace --exclude zoo-benches
exec cargo "$1" --release --features cuda "${@:2}"
