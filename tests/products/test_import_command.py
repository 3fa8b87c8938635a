"""`manage.py import_products`: the pipeline without browser or worker."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

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
    with pytest.raises(CommandError, match="directory"):
        run(tmp_path)
    assert Import.objects.count() == 0
