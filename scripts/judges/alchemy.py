"""SQLAlchemy's automap finds classes, keys and relations in the tables of a mirror."""
import os

from sqlalchemy import create_engine, select
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import Session

engine = create_engine(f"postgresql+psycopg2://headwater@/postgres?host={os.environ['PGHOST']}")
base = automap_base()
# A reference has the name of its field, which automap would also give to the relation.
base.prepare(autoload_with=engine, schema="judged_tables",
             name_for_scalar_relationship=lambda base, local, referred, constraint: referred.__name__ + "_row")
customer, order, line = base.classes.customer, base.classes.order, base.classes.line
assert [c.name for c in line.__table__.primary_key] == ["order", "position"]
relations = {r.key for r in order.__mapper__.relationships}
assert relations == {"customer_row", "line_collection"}, relations
with Session(engine) as session:
    one = session.scalars(select(order).where(order.number == "N000042")).one()
    assert one.customer_row.id == 42 % 200 - 5, one.customer_row.id
print(f"{len(base.classes)} classes, {len(relations)} relations of an order")
