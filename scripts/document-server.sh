#!/usr/bin/env bash
# Prints the path of a document server for the tests of HeadwaterMongoDB: SecantusDB, which speaks
# MongoDB's protocol. Installs it from PyPI, with jsonschema, into a virtual environment below
# .build if it is not there: about half a minute, once. HEADWATER_TEST_MONGODB names another one.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.7.0b3
folder=.build/document-server-$version
say() { printf '%s\n' "$*" >&2; }

if [[ -n ${HEADWATER_TEST_MONGODB:-} ]]; then
  echo "$HEADWATER_TEST_MONGODB"
  exit 0
fi
if [[ ! -x $folder/bin/secantusd-py ]] || ! "$folder/bin/python" -c 'import jsonschema' 2>/dev/null; then
  say "Installing SecantusDB $version and jsonschema from PyPI into $folder, for tests only."
  rm -rf "$folder"
  if ! python3 -m venv "$folder" >&2; then
    say "python3 cannot make a virtual environment: on Debian install python3-venv."
    exit 1
  fi
  "$folder/bin/pip" install --quiet --disable-pip-version-check "secantusdb==$version" \
    'jsonschema>=4.10,<5' >&2
fi
echo "$PWD/$folder/bin/secantusd-py"
