"""Add, change or delete one product: called by the product page and the API.

Each is one short transaction with its history row and its event. `values` and
`changes` are cleaned already (fields.clean).
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Value
from django.db.models.functions import Lower, Now
from django.utils import timezone

from config.accounts.actors import Actor
from products.models import ChangeAction, Deletion, DeletionKind, Product

from . import events, history
from .fields import FIELDS
from .versions import version as version_of

T = TypeVar("T")

LOCK_MS = 3_000  # an import's or a bulk change's batch holds its rows for well under a second
TRIES = 5

SKU_CONSTRAINT = "products_product_sku_key"
LOCK_NOT_AVAILABLE = "55P03"
DEADLOCK = "40P01"

MOVE = """
WITH gone AS (DELETE FROM products_product WHERE id = %s RETURNING *)
INSERT INTO products_deletedproduct
    (deletion_id, product_id, sku, name, description, active, created_at, updated_at,
     last_import_id)
SELECT %s, id, sku, name, description, active, created_at, updated_at, last_import_id FROM gone
"""


class Stale(Exception):
    """Somebody has changed the product since; `current` is how it is now."""

    def __init__(self, current: Product) -> None:
        super().__init__(f"product {current.pk} has changed since")
        self.current = current


class SkuTaken(Exception):
    """Another product has this SKU, in whatever case; `other` is that one."""

    def __init__(self, other: Product) -> None:
        super().__init__(f"product {other.pk} has the SKU {other.sku}")
        self.other = other


class Busy(OperationalError):
    """Somebody else held the rows for too long; nothing was changed, trying again helps.

    An OperationalError, since the API answers those with 503 and Retry-After.
    """

    def __init__(self) -> None:
        super().__init__("This product is being changed by somebody else. Try again in a moment.")


def create(actor: Actor, values: dict[str, Any]) -> Product:
    """Add a product. Raises SkuTaken, Busy."""

    def write() -> Product:
        product = Product.objects.create(**values)
        created = {field: [None, getattr(product, field)] for field in FIELDS}
        history.record(actor, product.pk, ChangeAction.CREATED, created)
        events.created(actor, product)
        return product

    return _repeated(write, sku=values["sku"])


def update(
    actor: Actor, product_id: int, changes: dict[str, Any], *, version: str | None = None
) -> Product:
    """Change the fields in `changes`; what is so already is no change and leaves no trace.

    With `version` only if the product still has it. Raises Product.DoesNotExist, Stale,
    SkuTaken, Busy.
    """

    def write() -> Product:
        product = _locked(product_id, version)
        previous = {
            field: getattr(product, field)
            for field in FIELDS
            if field in changes and changes[field] != getattr(product, field)
        }
        if not previous:
            return product
        new = {field: changes[field] for field in previous}
        Product.objects.filter(pk=product_id).update(**new, updated_at=Now())
        product.refresh_from_db()
        pairs = {field: [old, new[field]] for field, old in previous.items()}
        history.record(actor, product_id, ChangeAction.UPDATED, pairs)
        events.updated(actor, product, previous)
        return product

    return _repeated(write, sku=changes.get("sku"), product_id=product_id)


def delete(actor: Actor, product_id: int, *, version: str | None = None) -> Deletion:
    """Delete a product, restorable for UNDO_HOURS. Raises Product.DoesNotExist, Stale, Busy."""

    def write() -> Deletion:
        product = _locked(product_id, version)
        deletion = Deletion.objects.create(
            kind=DeletionKind.ONE,
            created_by=actor.user,
            by_name=actor.name,
            token_name=actor.token_name,
            what=product.sku,
            rows=1,
            kept_until=timezone.now() + timedelta(hours=settings.UNDO_HOURS),
        )
        with connection.cursor() as cursor:
            cursor.execute(MOVE, [product_id, deletion.pk])
        history.record(actor, product_id, ChangeAction.DELETED)
        events.deleted(actor, product)
        return deletion

    return _repeated(write)


def _locked(product_id: int, version: str | None) -> Product:
    """The product, which nobody else can change until the transaction ends."""
    product = Product.objects.select_for_update().get(pk=product_id)
    if version is not None and version != version_of(product):
        raise Stale(product)
    return product


def _repeated(write: Callable[[], T], *, sku: str | None = None, product_id: int = 0) -> T:
    """What `write` returns, run in a transaction of its own each time.

    Again where the database refused it because of somebody who has gone on since: the SKU was
    taken by a product that was deleted or renamed meanwhile, or two edits waited for each other.
    """
    for _ in range(TRIES):
        try:
            with transaction.atomic():
                _wait_at_most(LOCK_MS)
                return write()
        except IntegrityError as error:
            if sku is None or _constraint(error) != SKU_CONSTRAINT:
                raise
            other = _holder(sku, product_id)
            if other is not None:
                raise SkuTaken(other) from None
        except OperationalError as error:
            if _code(error) == LOCK_NOT_AVAILABLE:
                raise Busy from error
            if _code(error) != DEADLOCK:
                raise
    raise Busy


def _holder(sku: str, product_id: int) -> Product | None:
    """The other product with this SKU. Compared by the database, as its unique index does."""
    same = Product.objects.alias(key=Lower("sku")).filter(key=Lower(Value(sku)))
    return same.exclude(pk=product_id).first()


def _wait_at_most(milliseconds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{milliseconds}ms"])


def _code(error: DatabaseError) -> str | None:
    return getattr(error.__cause__, "pgcode", None)


def _constraint(error: DatabaseError) -> str | None:
    diagnosis = getattr(error.__cause__, "diag", None)
    return getattr(diagnosis, "constraint_name", None)
