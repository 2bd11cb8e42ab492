#!/usr/bin/env bash
# Sets up .venv if need be and looks at the form and the types of the code; says where they are wrong, mends nothing.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
say "looking at the form (ruff) and the types (pyright)"
ruff format --check slts tests
ruff check slts tests
pyright
