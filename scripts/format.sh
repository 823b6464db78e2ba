#!/usr/bin/env bash
# `format.sh check` fails if a source or script is not in the one format; `format.sh write` rewrites
# the sources.
set -euo pipefail
cd "$(dirname "$0")/.."

paths=()
for path in Sources Adapters Tests Benchmarks Examples Package.swift; do
  if [[ -e $path ]]; then paths+=("$path"); fi
done

case ${1:-} in
  check)
    if ! swift format lint --strict --parallel --recursive "${paths[@]}"; then
      echo "The format differs; \`make format\` mends most of it." >&2
      exit 1
    fi
    if command -v shellcheck >/dev/null 2>&1; then
      shellcheck scripts/*.sh .ci/run
    else
      echo "note: shellcheck is not installed, so the scripts are not checked" >&2
    fi
    ;;
  write) swift format --in-place --parallel --recursive "${paths[@]}" ;;
  *)
    echo "usage: format.sh check|write" >&2
    exit 64
    ;;
esac
