#!/usr/bin/env bash
# Sets up .venv if need be and runs the whole test suite; arguments go to pytest.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
# One thread a worker: the suite runs as many workers as there are cores.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
say "running the tests"
python -m pytest -n auto --dist loadfile "$@"
