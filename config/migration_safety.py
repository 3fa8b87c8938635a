"""What in a migration would keep others waiting, or break the processes of the former version.

Pure over Django's operations; a test holds all migrations after a baseline against it. How to write
safe ones: docs/data.md.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from django.contrib.postgres import operations as postgres
from django.db import connection
from django.db.migrations import Migration
from django.db.migrations import operations as ops
from django.db.migrations.state import ProjectState
from django.db.models import AutoField, BigAutoField, ManyToManyField, SmallAutoField, Value
from django.db.models.functions import Now

LOCKS, BREAKS = "locks", "breaks"
CHECK = "CheckConstraint"

HARMLESS = (
    *(ops.CreateModel, ops.AlterModelOptions, ops.AlterModelManagers, ops.AlterModelTableComment),
    *(ops.RemoveIndex, ops.RemoveConstraint, ops.RenameIndex),
    *(postgres.AddIndexConcurrently, postgres.RemoveIndexConcurrently),
    *(postgres.AddConstraintNotValid, postgres.ValidateConstraint, postgres.CreateExtension),
)
AUTO = (AutoField, BigAutoField, SmallAutoField)
GONE = (ops.RemoveField, ops.RenameField, ops.DeleteModel, ops.RenameModel, ops.AlterModelTable)
HARMLESS_SQL = (
    r"CREATE (UNLOGGED )?TABLE ",
    r"CREATE (UNIQUE )?INDEX CONCURRENTLY ",
    r"(DROP|REINDEX) INDEX CONCURRENTLY ",
    r"ALTER TABLE \S+ (RE)?SET \(",
    r"ALTER TABLE \S+ ALTER (COLUMN )?\S+ SET (STORAGE|STATISTICS) ",
    r"ALTER INDEX \S+ ALTER (COLUMN )?\S+ SET STATISTICS ",
    r"ALTER TABLE \S+ ADD CONSTRAINT .* NOT VALID$",
    r"ALTER TABLE \S+ VALIDATE CONSTRAINT ",
    r"CREATE (OR REPLACE )?(FUNCTION|VIEW|EXTENSION|SCHEMA) ",
    r"COMMENT ON ",
)


class Finding(NamedTuple):
    """One operation that is not safe, or several together."""

    migration: str  # "products.0005_more"
    table: str  # "products.product", "" where SQL or Python does not say
    kind: str  # LOCKS or BREAKS
    what: str

    def __str__(self) -> str:
        return f"{self.migration} {self.table}: {self.what}"


def findings(migration: Migration, before: ProjectState, small: Mapping[str, str]) -> list[Finding]:
    """What is unsafe in `migration`, which meets the models of `before`.

    Of the tables in `small` ("app.model": why) others wait for a moment only, whatever is done.
    """
    name = f"{migration.app_label}.{migration.name}"
    state, made, touched = before.clone(), set(), set()
    found: list[Finding] = []
    for operation in _database_operations(migration.operations):
        table = _table(migration.app_label, operation)
        if isinstance(operation, ops.CreateModel):
            made.add(table)
        elif table not in made:
            if table and not isinstance(operation, (ops.AlterModelOptions, ops.AlterModelManagers)):
                touched.add(table)
            for kind, what in _trouble(operation, state, migration.app_label):
                if kind == BREAKS or table not in small:
                    found.append(Finding(name, table, kind, what))
        operation.state_forwards(migration.app_label, state)
    large = sorted(touched - set(small))
    if migration.atomic and len(large) > 1:
        what = f"locks {', '.join(large)} in one transaction: a migration each"
        found.append(Finding(name, "", LOCKS, what))
    return found


def _database_operations(operations: Iterable[Any]) -> Iterator[Any]:
    for operation in operations:
        if isinstance(operation, ops.SeparateDatabaseAndState):
            yield from _database_operations(operation.database_operations)
        else:
            yield operation


def _table(app: str, operation: Any) -> str:
    if isinstance(operation, (ops.RunSQL, ops.RunPython, postgres.CreateExtension)):
        return ""
    model = getattr(operation, "model_name", None) or getattr(operation, "name", "")
    return f"{app}.{model}".lower()


def _trouble(operation: Any, state: ProjectState, app: str) -> Iterator[tuple[str, str]]:
    """(kind, what and what to do instead) of one operation on a table that is there already."""
    if isinstance(operation, HARMLESS):
        return
    if isinstance(operation, ops.AddIndex):
        yield LOCKS, "AddIndex keeps writers out while it builds: AddIndexConcurrently"
    elif isinstance(operation, ops.AddConstraint):
        name = type(operation.constraint).__name__
        yield LOCKS, f"AddConstraint({name}) reads all rows under a lock: {_instead(name)}"
    elif isinstance(operation, ops.AddField):
        yield from _added(operation.name, operation.field)
    elif isinstance(operation, ops.AlterField):
        yield from _altered(operation, state, app)
    elif isinstance(operation, GONE):
        name = type(operation).__name__
        yield BREAKS, f"{name}: processes of the former version still use it; a release later"
    elif isinstance(operation, ops.RunPython):
        yield LOCKS, "RunPython: in batches, each in its transaction, and on the list with a reason"
    elif isinstance(operation, ops.RunSQL):
        for statement in _statements(operation.sql):
            if not any(re.match(each, statement, re.I | re.S) for each in HARMLESS_SQL):
                yield LOCKS, f"RunSQL is not known to be safe: {statement[:80]}"
    else:
        yield LOCKS, f"{type(operation).__name__} is not known to be safe"


def _instead(constraint: str) -> str:
    if constraint == CHECK:
        return "AddConstraintNotValid, and ValidateConstraint in a migration of its own"
    return "CREATE UNIQUE INDEX CONCURRENTLY, then the constraint in the state alone"


def _added(name: str, field: Any) -> Iterator[tuple[str, str]]:
    if isinstance(field, ManyToManyField):
        return  # a table of its own
    if getattr(field, "generated", False) or isinstance(field, AUTO):
        yield LOCKS, "AddField of a value that each row gets anew writes the whole table"
    elif field.has_db_default():
        default = field.db_default
        # Literals and the present instant are one value for all rows: nothing is written.
        if hasattr(default, "resolve_expression") and not isinstance(default, (Value, Now)):
            yield LOCKS, "AddField with a db_default that differs by row writes the whole table"
    elif not field.null:
        yield BREAKS, "AddField NOT NULL without db_default: the former version can't insert"
    named = field.clone()
    named.set_attributes_from_name(name)  # the check has the column's
    if named.db_check(connection):
        yield LOCKS, f"AddField with a check reads all rows under a lock: {_instead(CHECK)}"
    if field.unique or field.db_index:
        yield LOCKS, "AddField with an index builds it under a lock: without, then concurrently"
    if field.is_relation and getattr(field, "db_constraint", False):
        yield LOCKS, "AddField(ForeignKey) locks both tables: db_constraint=False, then NOT VALID"


def _altered(operation: Any, state: ProjectState, app: str) -> Iterator[tuple[str, str]]:
    model = operation.model_name_lower
    after = state.clone()
    operation.state_forwards(app, after)
    old, new = (
        each.apps.get_model(app, model)._meta.get_field(operation.name) for each in (state, after)
    )
    if old.column != new.column:
        yield BREAKS, "AlterField renames the column, which the former version still uses"
    if not _holds(old, new):
        types = f"{old.db_type(connection)} to {new.db_type(connection)}"
        yield LOCKS, f"AlterField from {types} writes the whole table: another column"
    if new.db_check(connection) not in (None, old.db_check(connection)):
        yield LOCKS, f"AlterField adds a check, which reads all rows: {_instead(CHECK)}"
    if old.null and not new.null:
        yield LOCKS, "AlterField to NOT NULL reads all rows: a check NOT VALID, validated, first"
    for name in ("unique", "db_index", "primary_key", "db_constraint"):
        if getattr(new, name, False) and not getattr(old, name, False):
            yield LOCKS, f"AlterField adds {name} under a lock: concurrently, or NOT VALID"


def _holds(old: Any, new: Any) -> bool:
    """Whether rows stay as they are: the same type, or text that may be longer."""
    before, after = old.db_type(connection) or "", new.db_type(connection) or ""
    if before == after:
        return True
    length = re.fullmatch(r"varchar\((\d+)\)", before)
    longer = re.fullmatch(r"varchar\((\d+)\)", after)
    if longer is not None and length is not None:
        return int(longer[1]) >= int(length[1])
    return length is not None and after in ("text", "varchar")


def _statements(sql: Any) -> Iterator[str]:
    for part in [sql] if isinstance(sql, str) else sql:
        text = part[0] if isinstance(part, (tuple, list)) else part
        text = re.sub(r"--[^\n]*", " ", text)
        yield from filter(None, (" ".join(each.split()) for each in text.split(";")))
