#!/usr/bin/env bash
# Builds .build/release/headwater, with the Swift runtime linked statically where that can be had, so
# that the binary runs on machines without Swift.
set -euo pipefail
cd "$(dirname "$0")/.."

flags=(-c release --product headwater)
if [[ $(uname -s) == Linux ]]; then flags+=(--static-swift-stdlib); fi
echo "swift build ${flags[*]}" >&2
swift build "${flags[@]}" >&2
