"""Files as rows: in, out, cut and deleted."""

import random
import uuid

import pytest

from stocksync.jobs import checkpoint, files
from stocksync.models import FileBlock, StoredFile

from .syncing import stored

pytestmark = pytest.mark.django_db

DATA = random.Random(1).randbytes(100_000)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 1_000)


def content(file: StoredFile) -> bytes:
    return b"".join(files.pieces(file.pk))


def test_what_goes_in_comes_out():
    file = files.create("events.txt")
    for size in (0, 1, 999, 1_000, 1_001, 5_500):
        files.append(file.pk, DATA[files.size(file.pk) :][:size])
    end = files.size(file.pk)
    assert end == 8_501
    assert content(file) == DATA[:end]
    for start, stop in [(0, 0), (0, 1), (500, 1_500), (8_500, 8_501), (1_000, 7_000), (9, 8)]:
        assert files.read(file.pk, start, stop) == DATA[start:stop]
    assert b"".join(files.pieces(file.pk, 777, 4_001)) == DATA[777:4_001]
    with pytest.raises(files.FileGone, match="Bytes 0 to 8,502"):
        files.read(file.pk, 0, 8_502)


@pytest.mark.parametrize("size", [0, 1, 999, 1_000, 1_001, 4_321, 4_999, 5_000, 6_000])
def test_a_file_is_cut_anywhere_and_grows_again(size):
    file = stored(DATA[:5_000])

    files.truncate(file.pk, size)

    kept = min(size, 5_000)
    assert content(file) == DATA[:kept]
    files.append(file.pk, b"more")
    assert content(file) == DATA[:kept] + b"more"


def test_what_is_purged_can_t_be_read_or_added_to():
    file, other = stored(DATA), stored(DATA)
    reading = files.pieces(file.pk)
    next(reading)

    files.purge(file.pk)

    for use in (
        lambda: next(reading),
        lambda: content(file),
        lambda: files.size(file.pk),
        lambda: files.append(file.pk, b"more"),
        lambda: files.size(uuid.uuid4()),
    ):
        with pytest.raises(files.FileGone):
            use()
    assert not FileBlock.objects.filter(file=file).exists()
    assert content(other) == DATA


def test_forgotten_files_are_gone_at_once_and_removed_ones_without_a_trace():
    file, other = stored(DATA), stored(DATA)
    files.forget(file.pk, None)
    with pytest.raises(files.FileGone):
        files.pieces(file.pk).__next__()
    files.remove(other.pk)
    assert not StoredFile.objects.filter(pk=other.pk).exists()


def test_names_are_stored_whatever_they_are():
    assert files.create("").name == "events.txt"
    assert files.create("a\0b" + "c" * 300).name == "c" * 255


def test_bytes_are_stored_without_compression(django_assert_num_queries):
    """So a piece of a block is read without the rest of it."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attstorage FROM pg_attribute"
            " WHERE attrelid = 'stocksync_fileblock'::regclass AND attname = 'data'"
        )
        assert cursor.fetchone() in [("e",), (b"e",)]


@pytest.mark.parametrize("count", [0, 1, 9_999, 10_000, 25_000])
def test_a_state_comes_back_as_it_was(count):
    state = {
        "number": 7,
        "text": "ä\n\udc80",
        "none": None,
        "flags": {"a": [1, 2]},
        "long": [[n, -n, n % 2 == 0] for n in range(count)],
    }
    file = stored(b"what was there before" * 1_000)

    checkpoint.save(file.pk, state)

    assert checkpoint.load(file.pk) == state
