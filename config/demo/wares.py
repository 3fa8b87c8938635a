"""Made-up products and what happens to them, the same each time: pure, rows in and bytes out.

Used by seeding.py, the generators and removal.py, which removes exactly these SKUs.
"""

import csv
import io
import json
import random

PRODUCTS = 3_000
SALES = 5_000
TREES = 40  # of the stock sync job
SEED = 7

MATERIALS = """
Oak Pine Walnut Linen Cotton Wool Leather Steel Copper Brass Ceramic Glass Bamboo Cork Slate Marble
""".split()  # noqa: SIM905
THINGS = {
    "Kitchen": "Bowl,Mug,Teapot,Tray,Ladle,Chopping Board,Salt Mill,Cake Stand,Storage Jar",
    "Living": "Lamp,Cushion,Throw,Vase,Mirror,Candle Holder,Picture Frame,Side Table,Wall Clock",
    "Office": "Notebook,Pen Tray,Desk Lamp,Bookend,Paperweight,Letter Opener,Pin Board",
    "Garden": "Planter,Lantern,Bird House,Watering Can,Trowel,Bench,Plant Label,Wind Chime",
}
COLOURS = "Natural White Cream Sage Navy Charcoal Rust Mustard Rose Black".split()  # noqa: SIM905
SIZES = ("Small", "Medium", "Large")
COUNTRIES = ("United Kingdom", "Germany", "France", "Ireland", "Spain", "Netherlands")


def skus(count: int = PRODUCTS) -> list[str]:
    """Of all products of the demo."""
    return [f"DEMO-{number:05}" for number in range(1, count + 1)]


def products(count: int = PRODUCTS) -> bytes:
    """A CSV file to import, with some rows that have to be rejected and one that comes twice."""
    source = random.Random(SEED)
    things = [(area, thing) for area, text in THINGS.items() for thing in text.split(",")]
    text = io.StringIO()
    out = csv.writer(text)
    out.writerow(["sku", "name", "description"])
    bad = {count // 5: ("", "A row without SKU", ""), count // 3: ("DEMO-X1", "", "No name")}
    for number, sku in enumerate(skus(count), start=1):
        area, thing = source.choice(things)
        material, colour, size = (source.choice(each) for each in (MATERIALS, COLOURS, SIZES))
        name = f"{material} {thing}, {colour}"
        words = f"{size} {thing.lower()} in {colour.lower()} {material.lower()}. {area} range."
        out.writerow([sku, name, words])
        if number in bad:
            out.writerow(bad[number])
        if number == count // 2:
            out.writerow([sku, name, words])
            out.writerow(["DEMO-X2", "One column too many", "", "", "x"])
    out.writerow(["DEMO-" + "X" * 140, "A SKU that is too long", ""])
    return text.getvalue().encode()


def renamed(name: str, source: random.Random) -> str:
    """The name of a product of the demo with another colour."""
    return f"{name.partition(',')[0]}, {source.choice(COLOURS)}"


def sales(count: int = SALES) -> bytes:
    """A retail file of seven columns; few products make most of the sales, and some come back."""
    source = random.Random(SEED + 1)
    popular = skus()[:40]
    weights = [1 / (place + 2) for place in range(len(popular))]
    text = io.StringIO()
    out = csv.writer(text)
    out.writerow(
        ["Invoice", "StockCode", "Description", "Quantity", "Price", "Customer ID", "Country"]
    )
    for number in range(count):
        sku = source.choices(popular, weights)[0]
        back = source.random() < 0.03
        quantity = -source.randint(1, 3) if back else source.randint(1, 24)
        price = f"{source.randint(95, 4_995) / 100:.2f}"
        out.writerow(
            [
                f"{'C' if back else ''}{600_000 + number // 4}",
                sku,
                "Sample sale",
                quantity,
                price,
                source.randint(12_000, 18_000) if source.random() < 0.8 else "",
                source.choice(COUNTRIES),
            ]
        )
    return text.getvalue().encode("latin-1")


def stock_events(trees: int = TREES) -> bytes:
    """Lines of stock events: products with children, updates in and out of order, some refused."""
    source = random.Random(SEED + 2)
    events: list[dict[str, object]] = []
    at = 1_700_000_000
    for tree in range(trees):
        parent = 1 + tree * 4
        stock = source.randint(0, 60)
        for child in range(4):
            at += 1
            events.append(
                {
                    "type": "ProductCreated",
                    "id": parent + child,
                    "stock": stock,
                    "timestamp": at,
                    "parent_id": None if child == 0 else parent,
                }
            )
    for _ in range(trees * 8):
        at += source.randint(1, 4)
        event: dict[str, object] = {
            "type": "ProductUpdated",
            "id": source.randint(1, trees * 4),
            "timestamp": at - (source.randint(5, 50) if source.random() < 0.1 else 0),
            "stock": source.randint(0, 60),
        }
        if source.random() < 0.02:
            del event["stock"]
        if source.random() < 0.02:
            event["type"] = "ProductPainted"
        events.append(event)
    return "".join(f"{json.dumps(event)}\n" for event in events).encode()
