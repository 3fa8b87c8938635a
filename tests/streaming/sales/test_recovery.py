"""Where a partition is read from after it changed hands: every combination of what may be found."""

import pytest

from streaming.sales.checkpoint import Checkpoint
from streaming.sales.ownership import ADVICE
from streaming.sales.recovery import Impossible, Plan, plan

KEPT = 1200.0
CHECKPOINT = Checkpoint(400, 1674744306.25, KEPT)


def test_a_group_that_never_committed_reads_everything_as_new():
    assert plan(None, 0, 50, KEPT) == Plan(0, 0)
    assert plan(None, 30, 50, KEPT) == Plan(30, 30)


def test_a_lost_position_is_for_an_operator_where_there_are_outputs_already():
    found = plan(None, 30, 50, KEPT, put_out=True)
    assert isinstance(found, Impossible)
    assert (found.offset, found.reason) == (30, "no_offset")
    assert "offset 30" in found.detail and found.reason in ADVICE


def test_the_window_is_read_again_silently():
    """replay_from 400 ─────silent───── committed 900 ──outputs── end 1000"""
    assert plan((900, CHECKPOINT.encode()), 0, 1000, KEPT) == Plan(400, 900, CHECKPOINT)


def test_a_window_that_begins_at_the_committed_offset_needs_no_replay():
    checkpoint = Checkpoint(900, None, KEPT)
    assert plan((900, checkpoint.encode()), 0, 900, KEPT) == Plan(900, 900, checkpoint)


def test_a_shorter_window_than_before_uses_the_longer_replay():
    found = plan((900, CHECKPOINT.encode()), 0, 1000, KEPT / 2)
    assert found == Plan(400, 900, CHECKPOINT)


@pytest.mark.parametrize(
    "text",
    [
        "",  # set by kafka-consumer-groups.sh --reset-offsets
        "left by somebody else",
        "sales2 something of a newer version",
        Checkpoint(400, 1.0, KEPT - 1).encode(),  # the window was shorter then
        Checkpoint(901, 1.0, KEPT).encode(),  # of an offset that was set back since
    ],
)
def test_without_a_usable_text_the_window_is_looked_for_by_time(text):
    assert plan((900, text), 0, 1000, KEPT) == Plan(900, 900, by_time=True)


def test_retention_may_cut_the_window():
    found = plan((900, CHECKPOINT.encode()), 500, 1000, KEPT)
    assert (found.seek_to, found.live_from, found.start) == (500, 900, CHECKPOINT)
    assert "400" in found.notice and "500" in found.notice


def test_retention_may_cut_what_was_never_read():
    found = plan((900, CHECKPOINT.encode()), 950, 1000, KEPT)
    assert (found.seek_to, found.live_from) == (950, 950)
    assert "900 to 949" in found.notice and "50 are lost" in found.notice
    assert "sums may be short until one window has passed" in found.notice


def test_an_offset_past_the_end_is_for_an_operator():
    found = plan((900, CHECKPOINT.encode()), 0, 899, KEPT)
    assert isinstance(found, Impossible)
    assert (found.offset, found.reason) == (900, "offset_past_end")
    assert "899" in found.detail
