#!/bin/sh
# Make data/nb201_zero_cost.parquet: the 13 proxies of all valid NAS-Bench-201 cells. About 80 minutes of CPU time; it
# can be stopped and started again (every finished cell is kept in _build/nb201_zero_cost.jsonl).
cd "$(dirname "$0")/../.." || exit 1
mkdir -p _build
exec "${PYTHON:-.venv/bin/python}" -m graf_utils.proxies data/nb201_zero_cost.parquet \
  --checkpoint _build/nb201_zero_cost.jsonl \
  --width 8 --cells 3 --image-size 16 --batch-size 64 --n-jobs "${JOBS:-2}"
