"""The rules of stock (the specification's "Synchronization rules"): what an event does to its tree.

A tree has one stock, its level: that of its newest stock event. While the level is above 0 all its
products have it. Commands are lines of the output, appended to the list that is given; their
order is parent, then children as they were created, without the product that the event is about.
"""

from typing import List

UPDATE_PRODUCT = '{"type": "UpdateProduct", "id": %d, "stock": %d}\n'
END_PRODUCT = '{"type": "EndProduct", "id": %d}\n'


class Clock:
    """The timestamp of the newest stock event that was applied: of a tree, or of all of them."""

    __slots__ = ("time",)

    def __init__(self, time: int = -1) -> None:
        self.time = time


class Tree:
    """A parent product and its children. `products` begins with the parent."""

    __slots__ = ("clock", "ended_at", "level", "products")

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.level = 0
        self.products: List[Product] = []
        # Of the newest ProductEnded of the parent; -1: none came.
        self.ended_at = -1

    @property
    def root(self) -> int:
        """The parent's id."""
        return self.products[0].id


class Product:
    """A product as the marketplaces have it once they have followed all commands."""

    __slots__ = ("active", "created_at", "id", "stock", "tree")

    def __init__(self, product_id: int, stock: int, created_at: int, tree: Tree) -> None:
        self.id = product_id
        self.stock = stock
        self.created_at = created_at  # the creation's timestamp
        self.active = True
        self.tree = tree

    @property
    def is_child(self) -> bool:
        return self.tree.products[0] is not self


def new_tree(product_id: int, stock: int, timestamp: int, clock: Clock) -> Product:
    """The parent of a new tree. Needs no command."""
    tree = Tree(clock)
    parent = Product(product_id, stock, timestamp, tree)
    tree.products.append(parent)
    tree.level = stock
    clock.time = max(clock.time, timestamp)
    return parent


def join(tree: Tree, product_id: int, stock: int, timestamp: int, commands: List[str]) -> Product:
    """A new child of the tree. Whose stock is newer, the tree's or the child's, is that of both."""
    child = Product(product_id, stock, timestamp, tree)
    tree.products.append(child)
    if timestamp > tree.clock.time:
        tree.clock.time = timestamp
        if stock != tree.level or stock == 0:
            _level(tree, child, stock, commands)
    elif tree.level == 0:
        _end(child, commands)
        return child  # the parent's end would say the same again
    elif stock != tree.level:
        child.stock = tree.level
        commands.append(UPDATE_PRODUCT % (child.id, tree.level))
    if timestamp < tree.ended_at:
        _end(child, commands)
    return child


def update(product: Product, stock: int, timestamp: int, commands: List[str]) -> bool:
    """The product has this stock now. False, and nothing done, where the event is stale."""
    tree = product.tree
    clock = tree.clock
    if timestamp <= clock.time:
        return False
    clock.time = timestamp
    # At their level all have it already: a marketplace that reports what it was told to do.
    if stock != tree.level or stock == 0:
        product.stock = stock
        _level(tree, product, stock, commands)
    return True


def end(product: Product, timestamp: int, commands: List[str]) -> None:
    """The product is not available any more; with a parent its children that were there then."""
    product.active = False
    tree = product.tree
    if tree.products[0] is product:
        tree.ended_at = max(tree.ended_at, timestamp)
        for child in tree.products[1:]:
            if child.created_at < timestamp:
                _end(child, commands)


def _level(tree: Tree, source: Product, stock: int, commands: List[str]) -> None:
    """Make `stock`, which `source` has, the tree's: the others follow, or are ended at 0."""
    tree.level = stock
    if stock == 0:
        for product in tree.products:
            if product is not source:
                _end(product, commands)
        return
    tail = f', "stock": {stock}}}\n'
    for product in tree.products:
        if product.stock != stock:
            product.stock = stock
            commands.append(f'{{"type": "UpdateProduct", "id": {product.id}{tail}')


def _end(product: Product, commands: List[str]) -> None:
    product.active = False
    commands.append(END_PRODUCT % product.id)
