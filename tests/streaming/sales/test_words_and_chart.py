"""Figures as people read them, and the shapes of a curve."""

from decimal import Decimal
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import figures
from config.chart import HEIGHT, WIDTH, chart, scale
from streaming.converters import is_stock_code
from streaming.sales import addresses, words


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0.0", "0.00"),
        ("1234567.5", "1,234,567.50"),
        ("-20.0", "-20.00"),
        ("0.000001", "0.000001"),
        ("1000", "1,000.00"),
        ("9223372036854.775807", "9,223,372,036,854.775807"),
        ("1E+3", "1,000.00"),
    ],
)
def test_money_has_all_its_digits_and_no_exponent(amount, text):
    assert words.money(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(0.0, "0"), (0.04, "0.0"), (9.94, "9.9"), (10.0, "10"), (12345.6, "12,346")]
)
def test_rates_are_short(rate, text):
    assert figures.rate(rate) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1500, "1.5 kB"), (20_000_000, "20 MB")],
)
def test_sizes_have_a_unit(count, text):
    assert figures.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (600.0, "10 minutes"),
        (60, "minute"),
        (90, "90 seconds"),
        (7200, "2 hours"),
        (1, "second"),
        (0.5, "0.5 seconds"),
    ],
)
def test_spans_read_well_after_the_last(seconds, text):
    assert figures.span(seconds) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], ""),
        ([3], "3"),
        ([0, 1], "0 and 1"),
        ([0, 1, 2], "0 to 2"),
        ([0, 2, 5], "0, 2 and 5"),
        (list(range(0, 40, 2)), "0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, …"),
    ],
)
def test_partitions_are_listed_shortly(values, text):
    assert figures.numbers(values) == text


@pytest.mark.parametrize("epoch", [None, 1e300, -1e300, float("inf"), float("nan")])
def test_what_no_calendar_has_is_no_instant(epoch):
    assert figures.instant(epoch) is None


AMOUNTS = st.decimals(-(10**12), 10**12, places=6)


@given(AMOUNTS, AMOUNTS)
def test_the_axis_holds_both_ends_and_zero_in_few_round_steps(one, other):
    least, most = sorted((one, other))
    bottom, top, step = scale(least, most)
    assert bottom <= least and bottom <= 0 and top >= most and top >= 0 and top > bottom
    assert bottom % step == 0 and top % step == 0 and 1 <= (top - bottom) / step <= 7


@given(st.lists(AMOUNTS, min_size=2, max_size=130))
def test_the_curve_stays_in_its_box(amounts):
    drawn = chart([(1_000.0 + 5 * number, amount) for number, amount in enumerate(amounts)])
    assert drawn is not None
    for place in drawn.line.removeprefix("M").split(" L"):
        x, y = map(float, place.split(","))
        assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT
    assert len(drawn.labels) == len(drawn.grid) and len(drawn.rows) <= 11
    assert drawn.rows[0] == drawn.points[0] and drawn.rows[-1] == drawn.points[-1]


def test_the_axis_has_as_many_decimals_as_its_steps():
    assert chart([(0.0, Decimal("0")), (1.0, Decimal("1900"))]).labels == [
        "2,000",
        "1,500",
        "1,000",
        "500",
        "0",
    ]
    assert chart([(0.0, Decimal("-1")), (1.0, Decimal("0.5"))]).labels == [
        "0.5",
        "0.0",
        "-0.5",
        "-1.0",
    ]
    assert chart([(0.0, Decimal("0")), (1.0, Decimal("0"))]).labels == ["1.0", "0.5", "0.0"]


def test_a_single_point_is_no_curve():
    assert chart([]) is None and chart([(0.0, Decimal(1))]) is None


CODES = st.text(min_size=1, max_size=128).filter(is_stock_code)


@settings(deadline=None)  # the first one loads all addresses
@given(CODES)
def test_every_stock_code_has_an_address_that_browsers_leave_alone(code):
    address = addresses.of_stock_code(code)
    if "?" in address:
        assert address.startswith("/streaming/sales/?stock_code=")
    else:
        assert unquote(address) == f"/streaming/sales/{code}/"
        assert not {".", ".."} & set(address.split("/"))


@pytest.mark.parametrize("code", ["..", ".", "a/../b", "./x", "dead-letters"])
def test_codes_that_look_like_other_addresses_stand_in_the_query(code):
    assert addresses.of_stock_code(code).startswith("/streaming/sales/?stock_code=")
