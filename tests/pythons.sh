#!/usr/bin/env bash
# Runs the tests on every Python that this machine has of those that Assay promises; arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

find_python() { # of python3.12, or of what pyenv keeps; nothing where there is none
  for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
    if "$candidate" -c '' 2>/dev/null; then echo "$candidate"; return; fi
  done
}

for version in 3.11 3.12 3.13 3.14; do
  python=$(find_python "$version")
  if [ -z "$python" ]; then
    echo "== LEFT OUT: Python $version is not installed"
    continue
  fi
  echo "== $("$python" --version)"
  place=.venv/python$version
  if [ ! -e "$place/done" ] || [ requirements/test.txt -nt "$place/done" ]; then
    "$python" -m venv "$place"
    "$place/bin/pip" --disable-pip-version-check --no-input install -q --require-hashes -r requirements/build.txt
    "$place/bin/pip" --disable-pip-version-check --no-input install -q --no-build-isolation --require-hashes -r requirements/test.txt
    "$place/bin/pip" --disable-pip-version-check --no-input install -q --no-build-isolation --no-deps -e .
    touch "$place/done"
  fi
  "$place/bin/python" -m pytest -n auto --dist worksteal "$@"
done
