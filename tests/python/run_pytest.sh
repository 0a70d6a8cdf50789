#!/usr/bin/env bash
# Runs the tests of the Python package against the wheel installed in a venv.
set -euo pipefail
python="$1/bin/python"
if ! [ -x "$python" ]; then
  echo "skipped: no venv $1 with the package; scripts/wheel --test makes it"
  exit 0
fi
cd "$(dirname "$0")/../../python/tests"
exec "$python" -m pytest -q --ignore test_onnx_backend.py
