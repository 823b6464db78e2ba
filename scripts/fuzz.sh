#!/usr/bin/env bash
# Fuzzes every decoder of bytes from a peer with the toolchain's libFuzzer: scripts/fuzz.sh [SECONDS [DECODER…]].
#
# Each begins with test vectors and with what earlier runs found (.build/fuzzing-corpus). An input on which one traps,
# takes ten seconds, half a gigabyte of memory or two gigabytes of address space is kept in .build/fuzzing-findings, and
# the exit code is 1. Such an input is repeated with HEADWATER_FUZZ=DECODER .build/fuzzing/release/Fuzzing FILE.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-20}
shift || true
[[ $seconds =~ ^[1-9][0-9]*$ ]] || {
  echo "usage: scripts/fuzz.sh [SECONDS [DECODER…]]" >&2
  exit 64
}
decoders=("$@")

swift build --package-path Tests/Fuzzing --scratch-path .build/fuzzing -c release --sanitize=fuzzer \
  -Xswiftc -enable-testing --product Fuzzing
# The runtime would print the stack and end the process before the fuzzer has kept the input.
export SWIFT_BACKTRACE=enable=no
program=$PWD/.build/fuzzing/release/Fuzzing
findings=$PWD/.build/fuzzing-findings
mkdir -p "$findings"
if ((${#decoders[@]} == 0)); then read -ra decoders < <("$program"); fi

# The test vectors of the protocol, and the files that a decoder reads as text.
seeds() { # DECODER FOLDER
  python3 - "$1" "$2" <<'END'
import glob, json, pathlib, sys
decoder, folder = sys.argv[1], pathlib.Path(sys.argv[2])
vectors = pathlib.Path("Tests/Fixtures/sync")
found = []
if decoder == "message":
    found = [bytes.fromhex(v["bytes"]) for v in json.loads((vectors / "messages.json").read_text())]
elif decoder == "ranges":
    exchanges = json.loads((vectors / "reconciliation.json").read_text())["exchanges"]
    found = [bytes.fromhex(m) for e in exchanges for m in e["messages"]]
elif decoder == "schema":
    found = [pathlib.Path(p).read_bytes() for p in glob.glob("Examples/*/*.schema")]
elif decoder == "json":
    found = [b'{"a":[1,-2.5e3,"\\u00e9\\n",true,null],"b":{}}']
for number, content in enumerate(found):
    (folder / f"vector-{number}").write_bytes(content)
END
  HEADWATER_FUZZ=$1 HEADWATER_FUZZ_SEEDS=$2 "$program"
}

status=0
for decoder in "${decoders[@]}"; do
  corpus=.build/fuzzing-corpus/$decoder
  log=.build/fuzzing-corpus/$decoder.log
  mkdir -p "$corpus"
  seeds "$decoder" "$corpus"
  longest=65536
  case $decoder in
    schema | json | handshake) longest=4096 ;;
  esac
  code=0
  # Memory that is reserved and not touched counts as address space only.
  (
    ulimit -v 2097152
    HEADWATER_FUZZ=$decoder exec "$program" -max_total_time="$seconds" -max_len=$longest \
      -len_control=20 -timeout=10 -rss_limit_mb=512 -artifact_prefix="$findings/$decoder-" "$corpus"
  ) > "$log" 2>&1 || code=$?
  echo "$decoder: exit $code, $(grep -E '(DONE|cov:)' "$log" | tail -n 1 | sed -E 's/^#([0-9]+).*cov: ([0-9]+).*/\1 inputs, \2 edges/')"
  if ((code != 0)); then
    status=1
    grep -vE '^#[0-9]+|^INFO|NEW_FUNC' "$log" | head -n 40 || true
  fi
done
exit $status
