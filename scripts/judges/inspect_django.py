"""Django's inspectdb writes models with keys and relations from the tables of a mirror."""
import io
import os

import django
from django.conf import settings
from django.core.management import call_command

settings.configure(DATABASES={"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "headwater", "HOST": os.environ["PGHOST"],
    "OPTIONS": {"options": "-c search_path=judged_tables"}}})
django.setup()
out = io.StringIO()
call_command("inspectdb", stdout=out)
models = out.getvalue()
for expected in ["class Customer(", "class Order(", "class Line(", "primary_key=True", "models.BigIntegerField(",
                 "ForeignKey", "JSONField", "UUIDField", "DecimalField(max_digits=12, decimal_places=2",
                 "BinaryField"]:
    assert expected in models, f"{expected} is missing in:\n{models}"
print(f"{models.count('class ') - models.count('class Meta')} models, {models.count('ForeignKey')} relations")
