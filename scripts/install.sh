#!/usr/bin/env bash
# install.sh PREFIX: puts the release binary into PREFIX/bin and checks that it runs there.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${1:?usage: install.sh PREFIX}
binary=.build/release/headwater
[[ -x $binary ]] || {
  echo "error: $binary is missing: run scripts/build-release.sh first" >&2
  exit 1
}

# The nearest existing folder decides whether we may write there.
existing=$prefix/bin
while [[ ! -e $existing ]]; do existing=$(dirname "$existing"); done
as_root=()
if [[ ! -w $existing && $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null 2>&1 || {
    echo "error: $existing is not writable; run as root, or: make install PREFIX=\$HOME/.local" >&2
    exit 1
  }
  as_root=(sudo)
fi
echo "${as_root[*]:+sudo }install $binary $prefix/bin/headwater" >&2
${as_root[@]+"${as_root[@]}"} install -d "$prefix/bin"
${as_root[@]+"${as_root[@]}"} install -m 755 "$binary" "$prefix/bin/headwater"

if ! "$prefix/bin/headwater" --help >/dev/null; then
  echo "error: $prefix/bin/headwater was installed and does not run" >&2
  exit 1
fi
echo "Installed $prefix/bin/headwater" >&2
case :$PATH: in
  *:"$prefix/bin":*) ;;
  *) echo "note: $prefix/bin is not on your PATH" >&2 ;;
esac
