"""No migration keeps others waiting or breaks them; one that finds a table in use gives up soon."""

from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import psycopg2
import pytest
from django.contrib.postgres import operations as postgres
from django.contrib.postgres.functions import RandomUUID
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now

from config.migration_safety import BREAKS, LOCKS, Finding, findings

OURS = {
    *("accounts", "checks", "idempotency", "operations", "products", "stocksync", "streaming"),
    *("transactions", "webhooks"),
}
# What is in use since before this rule: the tables of the catalogue, deliveries and stock sync.
BASELINE = {
    *("accounts.0001_initial", "accounts.0002_api_tokens", "accounts.0003_roles"),
    *("idempotency.0001_initial", "products.0001_initial", "products.0002_storage"),
    *("products.0003_catalogue", "products.0004_search", "stocksync.0001_jobs"),
    *("stocksync.0002_storage", "webhooks.0001_events", "webhooks.0002_deliveries"),
}
# Tables of which others wait for a moment only, whatever is done to them.
SMALL = {
    "accounts.user": "one row a person",
    "accounts.apitoken": "some rows a person",
    "operations.alert": "one row a problem",
    "products.bulkchange": "one row a bulk change",
    "products.import": "one row an import",
    "stocksync.syncjob": "one row a job",
    "webhooks.endpoint": "one row an endpoint",
    "webhooks.secret": "one or two rows an endpoint",
}
# (migration, beginning of what is found): why it is right all the same.
ALLOWED: dict[tuple[str, str], str] = {}


def unsafe() -> Iterator[Finding]:
    loader = MigrationLoader(None)
    for key in sorted(loader.disk_migrations):
        app, name = key
        if app in OURS and f"{app}.{name}" not in BASELINE:
            before = loader.project_state(key, at_end=False)
            yield from findings(loader.disk_migrations[key], before, SMALL)


def test_every_migration_since_the_catalogue_is_safe() -> None:
    found = [
        each
        for each in unsafe()
        if not any(each.migration == name and each.what.startswith(what) for name, what in ALLOWED)
    ]
    assert not found, "\n".join(["See docs/data.md:", *map(str, found)])


def test_baseline_and_small_tables_are_there() -> None:
    loader = MigrationLoader(None)
    assert {f"{app}.{name}" for app, name in loader.disk_migrations} >= BASELINE
    models_there = {f"{app}.{name}" for app, name in loader.project_state().models}
    assert models_there >= set(SMALL)


ID = ("id", models.BigAutoField(primary_key=True))
TEXT = models.CharField(max_length=10)
THING = migrations.CreateModel(
    "Thing", [ID, ("name", TEXT), ("maybe", models.IntegerField(null=True))]
)
INDEX = models.Index(fields=["name"], name="thing_name")
CHECK = models.CheckConstraint(condition=models.Q(id__gt=0), name="thing_id")
UNIQUE = models.UniqueConstraint(fields=["name"], name="thing_once")


def look(*operations: Any, atomic: bool = True, small: bool = False) -> list[Finding]:
    """What is found in a migration that meets the table `Thing`, and another."""
    first = migrations.Migration("0001_first", "shop")
    first.operations = [THING, migrations.CreateModel("Other", [ID])]
    later = migrations.Migration("0002_later", "shop")
    later.operations, later.atomic = list(operations), atomic
    state = first.mutate_state(MigrationLoader(None).project_state([]))
    return findings(later, state, {"shop.thing": "small"} if small else {})


def add(**options: Any) -> migrations.AddField:
    kind = options.pop("kind", models.IntegerField)
    return migrations.AddField("thing", "more", kind(**options))


def alter(field: models.Field, name: str = "name") -> migrations.AlterField:
    return migrations.AlterField("thing", name, field)


def nothing(apps: Any, editor: Any) -> None:
    pass


@pytest.mark.parametrize(
    ("operation", "kind", "word"),
    [
        (migrations.AddIndex("thing", INDEX), LOCKS, "AddIndexConcurrently"),
        (migrations.AddConstraint("thing", CHECK), LOCKS, "AddConstraintNotValid"),
        (migrations.AddConstraint("thing", UNIQUE), LOCKS, "UNIQUE INDEX CONCURRENTLY"),
        (add(default=1), BREAKS, "without db_default"),
        (add(kind=models.UUIDField, db_default=RandomUUID()), LOCKS, "differs by row"),
        (add(null=True, db_index=True), LOCKS, "with an index"),
        (add(null=True, unique=True), LOCKS, "with an index"),
        (
            add(kind=models.ForeignKey, to="shop.other", on_delete=models.CASCADE, null=True),
            LOCKS,
            "db_constraint=False",
        ),
        (
            add(
                kind=models.GeneratedField,
                expression=models.F("id") * 2,
                output_field=models.BigIntegerField(),
                db_persist=True,
            ),
            LOCKS,
            "writes the whole table",
        ),
        (add(kind=models.PositiveIntegerField, null=True), LOCKS, "with a check"),
        (alter(models.PositiveIntegerField(null=True), "maybe"), LOCKS, "adds a check"),
        (migrations.AlterOrderWithRespectTo("thing", "maybe"), LOCKS, "not known"),
        (alter(models.IntegerField()), LOCKS, "varchar(10) to integer"),
        (alter(models.CharField(max_length=5)), LOCKS, "varchar(10) to varchar(5)"),
        (alter(models.IntegerField(), "maybe"), LOCKS, "NOT NULL"),
        (alter(models.CharField(max_length=10, db_index=True)), LOCKS, "adds db_index"),
        (alter(models.CharField(max_length=10, db_column="x")), BREAKS, "renames the column"),
        (migrations.RemoveField("thing", "name"), BREAKS, "former version"),
        (migrations.RenameField("thing", "name", "label"), BREAKS, "former version"),
        (migrations.DeleteModel("Thing"), BREAKS, "former version"),
        (migrations.AlterUniqueTogether("thing", {("name", "maybe")}), LOCKS, "not known"),
        (migrations.RunPython(nothing), LOCKS, "in batches"),
        (migrations.RunSQL("UPDATE shop_thing SET name = ''"), LOCKS, "UPDATE shop_thing"),
        (migrations.RunSQL("CREATE INDEX x ON shop_thing (name)"), LOCKS, "CREATE INDEX x"),
        (migrations.RunSQL(["SELECT 1", ("VACUUM FULL", None)]), LOCKS, "RunSQL"),
        (
            migrations.RunSQL("ALTER TABLE shop_thing ADD CONSTRAINT c CHECK (id > 0)"),
            LOCKS,
            "ADD CONSTRAINT",
        ),
        (
            migrations.SeparateDatabaseAndState([migrations.AddIndex("thing", INDEX)], []),
            LOCKS,
            "AddIndex",
        ),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "state_forwards") else None,
)
def test_each_kind_is_caught(operation: Any, kind: str, word: str) -> None:
    found = look(operation)
    assert any(each.kind == kind and word in each.what for each in found), found
    assert all(each.migration == "shop.0002_later" for each in found)


@pytest.mark.parametrize(
    "operation",
    [
        add(null=True),
        add(db_default=0),
        add(kind=models.DateTimeField, db_default=Now()),
        alter(models.CharField(max_length=20)),
        alter(models.TextField()),
        alter(models.CharField(max_length=10, null=True, help_text="words")),
        migrations.CreateModel(
            "New", [ID, ("of", models.ForeignKey("shop.thing", models.CASCADE))]
        ),
        postgres.AddConstraintNotValid("thing", CHECK),
        migrations.RunSQL("ALTER TABLE x ADD CONSTRAINT c CHECK (id > 0) NOT VALID"),
        migrations.RunSQL("CREATE UNIQUE INDEX CONCURRENTLY x ON shop_thing (name)"),
        migrations.RunSQL("-- storage\nALTER TABLE x ALTER COLUMN data SET STORAGE EXTERNAL"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_safe_is_let_through(operation: Any) -> None:
    assert look(operation) == []


def test_a_table_of_the_same_migration_is_empty_and_so_may_be_locked() -> None:
    index = migrations.AddIndex("new", models.Index(fields=["name"], name="new_name"))
    assert look(migrations.CreateModel("New", [ID, ("name", TEXT)]), index) == []


def test_indexes_that_are_built_concurrently_need_no_transaction() -> None:
    assert look(postgres.AddIndexConcurrently("thing", INDEX), atomic=False) == []


def test_two_tables_in_one_transaction_could_deadlock_with_those_who_work() -> None:
    two = [add(null=True), migrations.AddField("other", "more", models.IntegerField(null=True))]
    (found,) = look(*two)
    assert "shop.other, shop.thing in one transaction" in found.what
    assert look(*two, atomic=False) == []


def test_a_small_table_may_be_locked_but_not_taken_away() -> None:
    assert look(migrations.AddIndex("thing", INDEX), small=True) == []
    assert look(migrations.RemoveField("thing", "name"), small=True)


@pytest.fixture
def holder(transactional_db: None) -> Iterator[Callable[[str], None]]:
    """Another session, in the middle of a transaction."""
    parameters = connection.get_connection_params()
    names = ("host", "port", "user", "password")
    other = psycopg2.connect(
        dbname=parameters["dbname"],
        application_name="somebody",
        **{name: parameters[name] for name in names if name in parameters},
    )
    yield other.cursor().execute
    other.close()


class Waiting(migrations.Migration):
    operations = [migrations.RunSQL("LOCK TABLE products_product IN ACCESS EXCLUSIVE MODE")]


@pytest.fixture
def one_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that needs the table of products for itself, and changes nothing."""
    load = MigrationLoader.load_disk

    def with_one_more(self: MigrationLoader) -> None:
        load(self)
        last = max(name for app, name in self.disk_migrations if app == "products")
        more = Waiting("9999_waiting", "products")
        more.dependencies = [("products", last)]
        self.disk_migrations["products", "9999_waiting"] = more

    monkeypatch.setattr(MigrationLoader, "load_disk", with_one_more)


def migrate() -> str:
    out = StringIO()
    call_command("migrate", "products", stdout=out, stderr=out, verbosity=1)
    return out.getvalue()


def test_a_migration_that_gets_no_lock_gives_up_and_says_who_is_in_the_way(
    holder: Callable[[str], None], one_to_do: None, settings: Any
) -> None:
    settings.MIGRATE_LOCK_SECONDS, settings.MIGRATE_LOCK_TRIES = 1, 2
    holder("SELECT count(*) FROM products_product")
    with pytest.raises(CommandError) as found:
        migrate()
    text = str(found.value)
    assert "products.9999_waiting needs a table that others have in use" in text
    assert "(somebody)" in text and "SELECT count(*)" in text
    recorder = MigrationRecorder(connection)
    assert ("products", "9999_waiting") not in recorder.applied_migrations()
    holder("ROLLBACK")
    try:
        assert "9999_waiting... OK" in migrate()
    finally:
        recorder.record_unapplied("products", "9999_waiting")
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)
