"""What people did to products, written by the services of the catalogue, shown with each."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from django.conf import settings
from django.db import connection
from django.db.models import Q

from config.accounts.actors import Actor
from config.purging import delete_bit_by_bit
from products.models import BulkChange, ChangeAction, Deletion, Import, Product, ProductChange

IMPORTED = "imported"
SHOWN = 20

Author: TypeAlias = Actor | BulkChange | Deletion
"""Who does it: a request's Actor, or the row of a job that keeps whose it is."""

RECORD = """
INSERT INTO products_productchange
    (product_id, action, by_id, by_name, token_name, changes, bulk_id)
SELECT unnest(%s::bigint[]), %s, %s, %s, %s, %s::jsonb, %s
"""


@dataclass(frozen=True)
class Entry:
    """One line of a product's history."""

    action: str
    """A ChangeAction, or IMPORTED."""
    at: datetime
    who: str
    """The user's name as it was then; "" for an import whose user is gone."""
    token: str = ""
    """The API token's name, "" when it was done in a browser."""
    changes: dict[str, list[Any]] = field(default_factory=dict)
    """{"name": ["old", "new"]}; of created ones the old values are None. Empty for the others."""
    import_id: int | None = None
    file_name: str = ""
    bulk_id: int | None = None


def identity(author: Author) -> tuple[int | None, str, str]:
    """(user's id or None, user's name, token's name or "")."""
    if isinstance(author, Actor):
        return author.user.pk, author.name, author.token_name
    return author.created_by_id, author.by_name, author.token_name


def record(
    author: Author,
    product_id: int,
    action: ChangeAction,
    changes: dict[str, list[Any]] | None = None,
    *,
    bulk_id: int | None = None,
) -> None:
    """Write one change, in its transaction. `changes` as in Entry."""
    record_many(author, [product_id], action, changes, bulk_id=bulk_id)


def record_many(
    author: Author,
    product_ids: Iterable[int],
    action: ChangeAction,
    changes: dict[str, list[Any]] | None = None,
    *,
    bulk_id: int | None = None,
) -> None:
    """Write the same change of many products with one statement, in its transaction."""
    ids = list(product_ids)
    if not ids:
        return
    user_id, name, token = identity(author)
    with connection.cursor() as cursor:
        cursor.execute(
            RECORD,
            [ids, str(action), user_id, name, token, json.dumps(changes or {}), bulk_id],
        )


def latest(product_id: int, limit: int = SHOWN) -> list[Entry]:
    """The newest entries first, the last import that changed the product among them.

    Also of a product that is gone, while its history is kept (HISTORY_KEEP_DAYS).
    """
    entries = [
        Entry(
            action=change.action,
            at=change.at,
            who=change.by_name,
            token=change.token_name,
            changes=change.changes,
            bulk_id=change.bulk_id,
        )
        for change in ProductChange.objects.filter(product_id=product_id).order_by("-id")[:limit]
    ]
    product = Product.objects.filter(pk=product_id).first()
    if product is not None and product.last_import_id is not None:
        entry = _import_entry(product, product.last_import_id)
        older = (place for place, each in enumerate(entries) if each.at < entry.at)
        entries.insert(next(older, len(entries)), entry)
    return entries[:limit]


def _import_entry(product: Product, import_id: int) -> Entry:
    job = Import.objects.filter(pk=import_id).select_related("upload", "created_by").first()
    # A change by hand sets updated_at and is recorded after that; so where none is as new,
    # updated_at is the import's. Else the import came before: some time after its start.
    by_hand = ProductChange.objects.filter(
        Q(action__in=[ChangeAction.CREATED, ChangeAction.UPDATED, ChangeAction.RESTORED]),
        product_id=product.pk,
        at__gte=product.updated_at,
    )
    at = product.updated_at
    if by_hand.exists():
        at = product.created_at if job is None else job.merge_started_at or job.created_at
    if job is None:
        return Entry(IMPORTED, at, who="", import_id=import_id)
    who = job.created_by.get_username() if job.created_by is not None else ""
    return Entry(IMPORTED, at, who, import_id=import_id, file_name=job.upload.file_name)


def purge(now: datetime, deadline: float = math.inf) -> int:
    """Delete what is older than HISTORY_KEEP_DAYS, until `deadline`; returns how many rows."""
    old = ProductChange.objects.filter(at__lt=now - timedelta(days=settings.HISTORY_KEEP_DAYS))
    return delete_bit_by_bit(old, oldest_first="at", deadline=deadline)


def purge_bulk_changes(now: datetime, deadline: float = math.inf) -> int:
    """Delete those that ended more than HISTORY_KEEP_DAYS ago, as `purge` does.

    What is left of them are deletions, which stay.
    """
    before = now - timedelta(days=settings.HISTORY_KEEP_DAYS)
    old = BulkChange.objects.filter(state__in=BulkChange.ENDED, finished_at__lt=before)
    return delete_bit_by_bit(old, oldest_first="pk", deadline=deadline)
