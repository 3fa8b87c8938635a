"""The trees and products that a job left behind, in order of their creation."""

from dataclasses import dataclass

from django.db.models import F

from stocksync.models import SyncJob, SyncProduct, SyncTree

from . import words
from .runs import Run, run
from .words import State

FILTERS = {"": "All", "sold-out": "Sold out", "ended": "Some ended"}
TREES = 50
PRODUCTS = 50
SHOWN_BEFORE = 3  # products before the one that is looked for


@dataclass(frozen=True)
class TreeRow:
    """A tree with its state in words."""

    tree: SyncTree
    state: State

    @property
    def place(self) -> int:
        return self.tree.place


@dataclass(frozen=True)
class ProductRow:
    """A product with its state in words."""

    product: SyncProduct
    state: State


def find(
    job: SyncJob,
    which: str = "",
    *,
    before: int | None = None,
    after: int | None = None,
    size: int = TREES,
) -> Run:
    """Trees of a job, one of FILTERS, as TreeRow; `before` and `after` are places."""
    rows = SyncTree.objects.filter(job=job)
    if which == "sold-out":
        rows = rows.filter(stock=0)
    elif which == "ended":
        rows = rows.filter(active__lt=F("products"))
    found = run(rows, "place", before=before, after=after, size=size)
    ended = _ended_roots(job, [tree.root_id for tree in found.rows])
    shown = [TreeRow(tree, words.of_tree(tree, tree.root_id not in ended)) for tree in found.rows]
    return Run(shown, found.before, found.after)


def state_of(tree: SyncTree) -> State:
    """One tree's state in words."""
    return words.of_tree(tree, not _ended_roots(tree.job, [tree.root_id]))


def _ended_roots(job: SyncJob, roots: list[int]) -> set[int]:
    rows = SyncProduct.objects.filter(job=job, product_id__in=roots, active=False)
    return set(rows.values_list("product_id", flat=True))


def products(
    tree: SyncTree, *, before: int | None = None, after: int | None = None, size: int = PRODUCTS
) -> Run:
    """A tree's products as ProductRow, the parent first; `before` and `after` are places."""
    rows = SyncProduct.objects.filter(job=tree.job_id, root_id=tree.root_id)
    found = run(rows, "place", before=before, after=after, size=size)
    shown = [ProductRow(product, words.of_product(product, tree)) for product in found.rows]
    return Run(shown, found.before, found.after)


def product(job: SyncJob, product_id: int) -> SyncProduct | None:
    """A product as the job left it; None where it was never created."""
    return SyncProduct.objects.filter(job=job, product_id=product_id).first()


def place_for(product: SyncProduct) -> int | None:
    """After which place the run of a tree's products begins that shows this one near its begin.

    None: the first run.
    """
    rows = SyncProduct.objects.filter(
        job=product.job_id, root_id=product.root_id, place__lt=product.place
    )
    before = rows.order_by("-place").values_list("place", flat=True)
    place: int | None = before[SHOWN_BEFORE : SHOWN_BEFORE + 1].first()
    return place
