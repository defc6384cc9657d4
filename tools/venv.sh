#!/usr/bin/env bash
# Installs this checkout with extras into a virtual environment, which it makes if absent.
# usage: tools/venv.sh FOLDER EXTRA [EXTRA...]    ($PYTHON chooses the interpreter, else the first
# Python >= 3.10 that works). Uses uv where there is one, else venv and pip.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1
shift
extras=$(IFS=,; echo "$*")

works() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python python3.13 python3.12 python3.11 python3.10}; do
    if works "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  echo "No Python >= 3.10 found (tried: ${PYTHON:-python3, python, python3.10 to python3.13})." >&2
  echo "Install one, or name it: make $extras PYTHON=/path/to/python3" >&2
  return 1
}

if ! works "$venv/bin/python"; then
  python=$(find_python)
  echo "Making $venv with $("$python" --version)"
  rm -rf "$venv"
  if command -v uv >/dev/null 2>&1; then
    uv venv --quiet --python "$python" "$venv"
  else
    "$python" -m venv "$venv"
  fi
fi

echo "Installing opto with [$extras] into $venv"
if command -v uv >/dev/null 2>&1; then
  uv pip install --quiet --python "$venv/bin/python" --editable ".[$extras]"
else
  "$venv/bin/python" -m pip --disable-pip-version-check install --quiet --editable ".[$extras]"
fi
