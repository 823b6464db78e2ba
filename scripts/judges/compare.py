"""DuckDB finds no difference between two mirrors of one store: `compare.py SQLITE-FILE POSTGRESQL-SCHEMA`."""
import os
import sys

import duckdb
import duckdb_extensions

path, schema = sys.argv[1:]
con = duckdb.connect()
for extension in ["sqlite_scanner", "postgres_scanner"]:
    duckdb_extensions.import_extension(extension, con=con)
    con.execute(f"LOAD {extension}")
con.execute(f"ATTACH '{path}' AS lite (TYPE sqlite, READ_ONLY)")
con.execute(f"ATTACH 'host={os.environ['PGHOST']} user=headwater dbname=postgres' AS pg (TYPE postgres, READ_ONLY)")
con.execute("SET TimeZone = 'UTC'")


def cast(name, kind):
    """The column as the SQLite mirror keeps it."""
    kind = kind.upper()
    if kind == "BOOLEAN":
        return f'CAST("{name}" AS BIGINT)'
    if kind.startswith("DECIMAL"):
        precision = int(kind[8:].split(",")[0])
        return f'CAST("{name}" AS {"DOUBLE" if precision <= 15 else "VARCHAR"})'
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"""strftime("{name}", '%Y-%m-%dT%H:%M:%S.%fZ')"""
    if kind in ("DATE", "UUID"):
        return f'CAST("{name}" AS VARCHAR)'
    return f'"{name}"'


total = 0
tables = con.execute(
    f"SELECT l.table_name, p.table_name, p.collection FROM lite.headwater_names AS l JOIN pg.{schema}.headwater_names AS p "
    "ON p.collection = l.collection AND p.field IS NULL AND l.field IS NULL").fetchall()
for lite, native, collection in tables:
    columns = con.execute(
        f"SELECT l.column_name, p.column_name, p.type FROM lite.headwater_names AS l JOIN pg.{schema}.headwater_names AS p "
        "ON p.collection = l.collection AND p.field = l.field WHERE p.collection = ?", [collection]).fetchall()
    kinds = {row[0]: row[1] for row in con.execute(f'DESCRIBE pg.{schema}."{native}"').fetchall()}
    # JSON is text of two spellings; Headwater's own verification compares it.
    columns = [c for c in columns if not c[2].startswith("JSON")]
    left = ", ".join(f'"{c[0]}"' for c in columns)
    right = ", ".join(cast(c[1], kinds[c[1]]) for c in columns)
    one, two = f'SELECT {left} FROM lite."{lite}"', f'SELECT {right} FROM pg.{schema}."{native}"'
    rows = con.execute(f"SELECT count(*) FROM ({one})").fetchone()[0]
    assert rows > 0, collection
    for a, b in [(one, two), (two, one)]:
        found = con.execute(f"({a}) EXCEPT ALL ({b}) LIMIT 3").fetchall()
        assert not found, f"{collection} differs: {found}"
    total += rows
print(f"{total} rows in {len(tables)} tables are the same in both")
