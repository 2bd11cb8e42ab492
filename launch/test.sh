#!/usr/bin/env bash
# Sets up .venv if need be and runs the whole test suite; arguments go to pytest.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
# One thread a worker, and a worker more than there are cores, as tests wait for the processes that they start.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
say "running the tests"
python -m pytest -n "$(($(getconf _NPROCESSORS_ONLN) + 1))" --dist loadfile --no-loadscope-reorder --max-worker-restart 2 "$@"
