#!/usr/bin/env bash
# Installs what the build, the tests and the demo need and this machine lacks: nothing if nothing is
# missing. Debian and its relatives by apt, macOS by Homebrew; elsewhere it says what is needed.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "error: $*"
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }
has_library() { has pkg-config && pkg-config --exists "$1" 2>/dev/null; }

# The folders where the ISO code lists are looked for, as the demo does.
has_iso_codes() {
  local folder
  for folder in /usr/share /usr/local/share /opt/homebrew/share; do
    if [[ -f $folder/iso-codes/json/iso_3166-1.json ]]; then return 0; fi
  done
  return 1
}

has_brewed() { [[ -d /opt/homebrew/opt/$1 || -d /usr/local/opt/$1 ]]; }

# A server's programs, where the tests look for them.
has_postgres_server() {
  local program
  for program in "${HEADWATER_POSTGRES_BIN:-/nowhere}"/initdb /usr/lib/postgresql/*/bin/initdb \
    /opt/homebrew/opt/postgresql@*/bin/initdb /usr/local/opt/postgresql@*/bin/initdb; do
    if [[ -x $program ]]; then return 0; fi
  done
  return 1
}

# Whether Python can make a virtual environment with pip in it.
has_venv() { has python3 && python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }

# What is missing, by the names that the package manager of this system ($1: apt or brew) uses.
missing_packages() {
  local manager=$1
  need() { # NAME-FOR-APT NAME-FOR-BREW
    if [[ $manager == apt ]]; then echo "$1"; else echo "$2"; fi
  }
  has pkg-config || need pkg-config pkgconf
  has git || need git git
  has make || need make make
  has sqlite3 || need sqlite3 sqlite
  has python3 || need python3 python
  has_iso_codes || need iso-codes iso-codes
  has_library libsodium || need libsodium-dev libsodium
  # On macOS pkg-config does not find Homebrew's libpq, which is kept apart.
  has_library libpq || has_brewed libpq || need libpq-dev libpq
  if [[ $purpose == test ]]; then
    # The tests of the PostgreSQL mirror start a server of their own; those of document servers install one.
    has_postgres_server || need postgresql postgresql@17
    has_venv || need python3-venv python
  fi
  # macOS brings SQLite and zlib with its SDK.
  [[ $manager == brew ]] || has_library sqlite3 || need libsqlite3-dev sqlite
  [[ $manager == brew ]] || has_library zlib || need zlib1g-dev zlib
}

check_swift() {
  local needed found
  needed=$(sed -nE '1s/.*swift-tools-version: *([0-9]+\.[0-9]+).*/\1/p' Package.swift)
  if ! has swift; then
    say "error: Swift is missing. Headwater needs Swift $needed or later, which no Debian package has."
    say "       On Linux install it with swiftly (https://www.swift.org/install/linux) and put it on"
    say "       the PATH; on macOS it comes with Xcode. Then run this again."
    exit 1
  fi
  found=$(swift --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9]+\.[0-9]+).*/\1/p' | head -n 1)
  if [[ -n $found && $(printf '%s\n%s\n' "$needed" "$found" | sort -V | head -n 1) != "$needed" ]]; then
    fail "Swift $found is too old: Headwater needs $needed or later (https://www.swift.org/install)"
  fi
}

install_with_apt() {
  local as_root=()
  if [[ $(id -u) -ne 0 ]]; then
    has sudo || fail "not root, and no sudo. As root, run: apt-get install $*"
    as_root=(sudo)
  fi
  say "Installing with apt${as_root[0]:+ (through sudo)}: $*"
  # A list that cannot be brought up to date may still be good enough.
  ${as_root[@]+"${as_root[@]}"} apt-get update -qq </dev/null >&2 \
    || say "warning: the package lists could not all be updated; trying with what there is"
  ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@" </dev/null >&2 \
    || fail "apt could not install: $*"
}

# With `test`, what only the tests need too.
purpose=${1:-}

main() {
  local manager packages
  # First: it is the one thing that this script cannot install.
  check_swift
  case $(uname -s) in
    Darwin) manager=brew ;;
    *) manager=apt ;;
  esac
  # macOS has a bash without mapfile.
  read_packages() {
    packages=()
    while IFS= read -r line; do packages+=("$line"); done
  }
  read_packages < <(missing_packages "$manager")
  if [[ ${#packages[@]} -gt 0 ]]; then
    if [[ $manager == brew ]]; then
      has brew || fail "missing: ${packages[*]}. Install Homebrew (https://brew.sh), or these by hand"
      say "Installing with Homebrew: ${packages[*]}"
      brew install "${packages[@]}" </dev/null >&2
    elif has apt-get; then
      install_with_apt "${packages[@]}"
    else
      fail "missing, by their Debian names: ${packages[*]}. Install what your system calls them"
    fi
    read_packages < <(missing_packages "$manager")
    [[ ${#packages[@]} -eq 0 ]] || fail "installed, but still not found: ${packages[*]}"
  fi
}

main
