"""Operations for the store that is judged: `rows.py COUNT`, as lines of `headwater write`."""
import base64
import json
import random
import sys
import uuid

random.seed(7)
count = int(sys.argv[1])
texts = ["", "plain", "it's", 'say "x"', "naïve ☂ 🜚", "a\tb\nc", "\\N", "%_", "NULL", "e\u0301"]


def operation(changes):
    print(json.dumps({"changes": changes}))


customers = count // 10
for start in range(0, customers, 200):
    operation([
        {"create": "Customer", "row": {
            "id": i - 5, "name": random.choice(texts) + str(i),
            **({"address": {"street": random.choice(texts), **({"town": "Ulm"} if i % 4 else {})}} if i % 3 else {}),
            "since": f"{1 + i * 37 % 9999:04d}-02-{1 + i % 28:02d}", "vip": i % 2 == 0,
            **({"rating": random.choice([0.1, 1e300, 5e-324, -2.5, 3.0])} if i % 5 else {})}}
        for i in range(start, min(start + 200, customers))])
for start in range(0, count, 100):
    changes = []
    for i in range(start, min(start + 100, count)):
        number = f"N{i:06d}"
        row = {"number": number, "customer": {"id": i % customers - 5},
               "placed": f"2024-02-29T{i % 24:02d}:00:00.{i % 1000000:06d}Z",
               "status": ["draft", "placed", "shipped"][i % 3], "token": str(uuid.UUID(int=random.getrandbits(128)))}
        if i % 2:
            row["note"] = random.choice(texts)
        if i % 3 == 0:
            row["extra"] = random.choice([None, 1, 2.5, 1e19, "x", [1, [], {}], {"b": 1, "aa": [None], "é": "\\"}])
        if i % 7 == 0:
            row["attachment"] = base64.b64encode(bytes([i % 256, 0, 255])).decode()
        changes.append({"create": "Order", "row": row})
        line = {"order": {"number": number}, "position": 1, "sku": f"S{i % 50}", "price": f"{i * 17 % 100000 / 100:.2f}"}
        if i % 2:
            line["weight"] = f"{i}.0000000001"
        changes.append({"create": "Line", "row": line})
    operation(changes)
