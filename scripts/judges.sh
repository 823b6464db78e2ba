#!/usr/bin/env bash
# Lets other people's programs judge a mirror: pg_dump and a restore, pgTAP, SQLAlchemy, Django, and DuckDB, which
# compares the SQLite and the PostgreSQL mirror of one store. They are installed below .build/judges, pgTAP by apt.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

say() { printf '== %s\n' "$*"; }

bin=${HEADWATER_POSTGRES_BIN:-$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)}
version=$("$bin/postgres" --version | sed -nE 's/.* ([0-9]+)\..*/\1/p')

python=$root/.build/judges/bin/python
if [[ ! -x $python ]] || ! "$python" -c 'import duckdb, duckdb_extensions, sqlalchemy, django, psycopg2' 2>/dev/null; then
  say "installing DuckDB, SQLAlchemy and Django below .build/judges"
  python3 -m venv "$root/.build/judges"
  "$root/.build/judges/bin/pip" -q install duckdb==1.5.5 duckdb-extensions==1.5.5 \
    duckdb-extension-postgres-scanner==1.5.5 duckdb-extension-sqlite-scanner==1.5.5 \
    'sqlalchemy<3' 'django<6' psycopg2-binary
fi
if ! command -v pg_prove >/dev/null || [[ ! -f /usr/share/postgresql/$version/extension/pgtap.control ]]; then
  say "installing pgTAP with apt"
  as_root=()
  if [[ $(id -u) -ne 0 ]]; then as_root=(sudo); fi
  ${as_root[@]+"${as_root[@]}"} apt-get update -qq >&2 || true
  ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends "postgresql-$version-pgtap" libtap-parser-sourcehandler-pgtap-perl \
    </dev/null >&2
fi

tool=${HEADWATER_TOOL:-$root/.build/debug/headwater}
if [[ ! -x $tool ]]; then swift build --product headwater; fi

work=$(mktemp -d /tmp/headwater-judges-XXXXXX)
# PostgreSQL does not run as root.
owner=$(id -un)
if [[ $(id -u) -eq 0 ]]; then
  owner=postgres
  chown postgres "$work"
fi
as_owner() {
  if [[ $(id -un) == "$owner" ]]; then (cd "$work" && "$@"); else (cd "$work" && runuser -u "$owner" -- "$@"); fi
}
finish() {
  as_owner "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT

as_owner "$bin/initdb" -D "$work/data" -U headwater -A trust -E UTF8 --locale=C --no-sync >/dev/null
printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$work'" 'fsync = off' \
  | as_owner tee -a "$work/data/postgresql.conf" >/dev/null
as_owner "$bin/pg_ctl" -D "$work/data" -l "$work/data/log" -w start >/dev/null
export PGHOST=$work PGUSER=headwater PGDATABASE=postgres HEADWATER_HOME=$work/home
export SWIFT_BACKTRACE=enable=no
url="postgres://headwater@/postgres?host=$work&schema=judged"

say "a store, and its two mirrors"
cp scripts/judges/judged.schema "$work/"
cd "$work"
"$tool" key new judge --no-passphrase >/dev/null
"$tool" init judged.hw --schema judged.schema --as judge >/dev/null
"$python" "$root/scripts/judges/rows.py" 2000 >rows.ndjson
"$tool" write judged.hw --as judge rows.ndjson >/dev/null
"$tool" mirror judged.hw --to sqlite:judged.sqlite --to "$url"
"$tool" verify judged.hw --to "$url"

say "pg_dump, and a restore that the store takes for its mirror"
"$bin/createdb" restored
"$bin/pg_dump" -Fc -n judged -n judged_tables postgres >judged.dump
"$bin/pg_restore" --exit-on-error -d restored judged.dump
"$tool" verify judged.hw --to "postgres://headwater@/restored?host=$work&schema=judged"

say "pgTAP"
"$bin/psql" -qX -c 'CREATE EXTENSION pgtap'
pg_prove --quiet "$root/scripts/judges/keys.sql"

say "SQLAlchemy"
"$python" "$root/scripts/judges/alchemy.py"
say "Django"
"$python" "$root/scripts/judges/inspect_django.py"
say "DuckDB"
"$python" "$root/scripts/judges/compare.py" judged.sqlite judged
say "all agree"
