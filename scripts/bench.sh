#!/usr/bin/env bash
# Runs the benchmarks, a package of its own in Benchmarks/.
set -euo pipefail
cd "$(dirname "$0")/.."

[[ -f Benchmarks/Package.swift ]] || {
  echo "error: there are no benchmarks yet" >&2
  exit 1
}
exec swift run -c release --package-path Benchmarks "$@"
