"""`manage.py import_products`: the pipeline without browser or worker."""

import io
import os
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from products.imports import uploads
from products.management.commands.import_products import Command
from products.models import Import, ImportState, Product

from .importing import HEADER

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes(HEADER + b"A,a,1\r\nB,b,2\r\nB,B,3\r\n,c,4\r\n")
    return path


def run(*arguments: object) -> str:
    out = StringIO()
    call_command("import_products", *map(str, arguments), "--no-progress", stdout=out)
    return out.getvalue()


def test_it_imports_and_tells_the_counts(path):
    text = run(path, "--inactive")

    assert "2 created, 0 updated, 0 unchanged; 1 duplicates in the file, 1 rejected" in text
    job = Import.objects.get()
    assert (job.state, job.upload.file_name, job.created_by) == (ImportState.DONE, "mine.csv", None)
    assert Product.objects.filter(active=False).count() == 2


def test_check_counts_and_changes_nothing(path):
    text = run(path, "--check")

    assert "2 would be created, 0 updated, 0 unchanged" in text
    assert Product.objects.count() == 0
    assert Import.objects.get().state == ImportState.CANCELLED


def test_a_file_that_can_not_be_imported_is_an_error_with_its_reason(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_bytes(b"name,price\r\nA,1\r\n")

    with pytest.raises(CommandError, match='no column "sku"'):
        run(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(CommandError, match=r"gone\.csv: No such file"):
        run(tmp_path / "gone.csv")
    with pytest.raises(CommandError, match="not a regular file"):
        run(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CommandError, match="not a regular file"):
        run(tmp_path / "pipe")
    assert Import.objects.count() == 0


class ChangingFile(io.BytesIO):
    """A file that somebody else writes or cuts while it is read."""

    name = "mine.csv"


def test_a_file_that_shrinks_while_it_is_read_is_given_up(path):
    command = Command()
    command.quiet = True
    job = uploads.create(None, "mine.csv", 1_000, uploads.ImportOptions())

    with pytest.raises(CommandError, match="became shorter"):
        command.or_cancel(job, command.upload, job, ChangingFile(b"short"))

    job.refresh_from_db()
    assert job.state == ImportState.CANCELLED
    assert job.upload.blocks.count() == 0


def test_a_file_that_grows_is_imported_as_it_was(path):
    command = Command()
    command.quiet = True
    data = path.read_bytes()
    job = uploads.create(None, "mine.csv", len(data), uploads.ImportOptions())

    command.upload(job, ChangingFile(data + b"D,d,new\r\n"))
    command.follow(job)

    assert (job.state, job.created) == (ImportState.DONE, 2)


def test_ctrl_c_cancels_and_says_so(path):
    command = Command()
    command.quiet = True
    job = uploads.create(None, "mine.csv", 1_000, uploads.ImportOptions())

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(CommandError, match=r"was cancelled\. Cancelled before anything changed"):
        command.or_cancel(job, interrupted)
    job.refresh_from_db()
    assert job.state == ImportState.CANCELLED
