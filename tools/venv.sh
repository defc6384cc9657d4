#!/usr/bin/env bash
# Installs this checkout with extras into a virtual environment, which it makes if absent.
# usage: tools/venv.sh FOLDER EXTRA [EXTRA...]    ($PYTHON chooses the interpreter, else the first
# Python >= 3.10 that works). Uses uv where there is one, else venv and pip.
# Versions and checksums are those of requirements/EXTRA.txt; $PINS=no takes what pyproject.toml
# allows instead, whatever its checksum.
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

install() {
  if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$venv/bin/python" "$@"
  else
    "$venv/bin/python" -m pip --disable-pip-version-check install --quiet "$@"
  fi
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

pins=()
for extra in "$@"; do
  if [ "${PINS:-yes}" = no ] || [ ! -e "requirements/$extra.txt" ]; then
    echo "Installing opto with [$extras] into $venv, versions not pinned"
    install --editable ".[$extras]"
    exit
  fi
  pins+=(--requirement "requirements/$extra.txt")
done

echo "Installing opto with [$extras] into $venv, as pinned"
if ! { install --require-hashes "${pins[@]}" && install --no-deps --no-build-isolation --editable .; }; then
  echo "The pinned versions can't be installed here (above is why). If it is a checksum, find out" >&2
  echo "why it differs first. Else 'make pins' renews the pins, and PINS=no goes without them." >&2
  exit 1
fi
