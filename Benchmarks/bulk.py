"""Does what a mirror does with PyMongo: writes the rows of the benchmark with insert_many into a collection, and
gives that the name under which it is read. Prints the seconds that each of the two took.

usage: bulk.py URL ROWS
"""
import sys
import time

import pymongo

url, count = sys.argv[1], int(sys.argv[2])
collection = pymongo.MongoClient(url).get_default_database()["Item.filling"]
seconds = 0.0
for start in range(0, count, 5_000):
    documents = []
    for index in range(start, min(start + 5_000, count)):
        sku = f"SKU-{index:09}"
        document = {
            "_id": "+sku-" + sku[4:], "sku": sku, "name": f"Article number {index} of the catalogue",
            "price": f"{index % 100_000 / 100:.2f}", "stock": index % 977,
            "weight": index % 1_000 / 8, "active": index % 3 == 0,
            "added": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(1_700_000_000 + index)),
        }
        if index % 4:
            document["note"] = f"A remark of some length about article {index}"
        documents.append(document)
    begin = time.monotonic()
    collection.insert_many(documents)
    seconds += time.monotonic() - begin
begin = time.monotonic()
collection.rename("Item", dropTarget=True)
print(f"{seconds:.3f} {time.monotonic() - begin:.3f}")
