"""Times, prices and curves as people see them, and numbers as programs get them. Pure."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.chart import HEIGHT, WIDTH
from config.exact_json import ExactRenderer, Written
from streaming.prices import chart, clock, words

TIMES = st.from_regex(r"\A([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]\Z")
PRICES = st.one_of(st.just(""), st.integers(0, 10**12 - 1).map(str), st.just("0.000001"))
ROWS = st.lists(st.tuples(TIMES, PRICES), min_size=2, max_size=60)


@pytest.mark.parametrize(
    ("text", "time", "shown", "seconds"),
    [
        ("090006", "090006", "09:00:06", 32_406),
        ("09:01", "090100", "09:01:00", 32_460),
        ("9:01", "090100", "09:01:00", 32_460),
        ("23:59:59", "235959", "23:59:59", 86_399),
        ("000000", "000000", "00:00:00", 0),
        ("240000", None, "240000", None),
        ("090060", None, "090060", None),
        ("9:1", None, "9:1", None),
        ("90006", None, "90006", None),
        ("", None, "", None),
    ],
)
def test_times_of_day(text, time, shown, seconds):
    assert (clock.clock(text), clock.shown(text), clock.seconds(text)) == (time, shown, seconds)


@given(st.integers(0, 10**6))
def test_seconds_are_times_of_a_day(count):
    assert clock.seconds(clock.of_seconds(count)) == count % 86_400


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("", ""),
        ("1734", "1,734"),
        ("12.50", "12.50"),
        ("0", "0"),
        ("123456789012.123456", "123,456,789,012.123456"),
        ("0.000001", "0.000001"),
        ("1e-07", "0.0000001"),
        ("1E+9999999999", "1E+9999999999"),
        ('{"a": 1}', '{"a": 1}'),
    ],
)
def test_prices_have_all_their_digits(token, text):
    assert words.price(token) == text


@pytest.mark.parametrize(
    ("prices", "text", "percent", "tone"),
    [
        (["1000", "1018"], "+18", "+1.80 %", "good"),
        (["450", "", "441.5", ""], "-8.5", "-1.89 %", "bad"),
        (["5", "5"], "0", "+0.00 %", "muted"),
        (["0", "5"], "+5", "", "good"),
        (["999", "0.5", "2000"], "+1,999.5", "+399,900.00 %", "good"),
    ],
)
def test_the_change_is_from_the_price_before(prices, text, percent, tone):
    change = words.change(prices)
    assert change is not None
    assert (change.text, change.percent_text, change.tone) == (text, percent, tone)


@pytest.mark.parametrize("prices", [[], ["5"], ["", "5", ""]])
def test_one_price_is_no_change(prices):
    assert words.change(prices) is None


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("kafka:main_topic:0", "main_topic · partition 0 · offset 7"),
        ("kafka:a:b:12", "a:b · partition 12 · offset 7"),
        ("csv", "row 7 of the file"),
        ("other", "other · 7"),
    ],
)
def test_places_have_words(place, text):
    assert words.place(place, 7) == text


def test_rows_stand_on_the_axis_by_their_time_and_never_go_back():
    times = ["090000", "090010", "09:01", "090030", "whenever", "090040", "000000", "000005"]
    assert chart.places(times) == [0, 10, 60, 61, 62, 63, 64, 69]


def test_times_below_the_axis_are_those_of_its_places():
    times = ["090000", "090010", "090100"]
    assert chart.labels(chart.places(times), times) == [
        "09:00:00",
        "09:00:15",
        "09:00:30",
        "09:00:45",
        "09:01:00",
    ]


def test_another_day_goes_on_behind_the_first():
    times = ["095958", "100000", "090000", "090002"]
    assert chart.labels(chart.places(times), times)[::4] == ["09:59:58", "09:00:02"]


@given(ROWS, st.sampled_from([1, 40]))
def test_curves_stay_in_their_box_and_are_bounded(rows, days):
    rows = rows * days
    times, prices = [at for at, _ in rows], [price for _, price in rows]
    curve = chart.curve(times, prices)
    if curve is None:
        assert not any(prices)
        return
    for path in curve.chart.line.replace("h0", "").split("M")[1:]:
        for place in path.strip().split(" L"):
            x, y = map(float, place.split(","))
            assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT
    marks = json.loads(curve.points)
    assert len(marks) == curve.last + 1 <= 4 * chart.COLUMNS
    assert [mark[0] for mark in marks] == sorted(mark[0] for mark in marks)
    known = [Decimal(price) for price in prices if price]
    assert (curve.chart.least, curve.chart.most) == (min(known), max(known))
    assert curve.chart.now == known[-1] and len(curve.rows) <= 11
    assert chart.spark(times, prices).count("M") <= 1 + prices.count("")


@given(st.lists(PRICES, min_size=1, max_size=50), st.integers(601, 3_000))
def test_thinning_keeps_ends_and_extremes(some, count):
    prices = (some * count)[:count]
    axis = [float(n) for n in range(len(prices))]
    kept = chart.thinned(axis, prices)
    assert kept == sorted(set(kept)) and len(kept) <= 4 * chart.COLUMNS
    known = [n for n, price in enumerate(prices) if price]
    if known:
        assert {known[0], known[-1]} <= set(kept)
        amounts = [float(prices[n]) for n in kept if prices[n]]
        everything = [float(prices[n]) for n in known]
        assert (min(amounts), max(amounts)) == (min(everything), max(everything))


def test_a_long_gap_survives_thinning():
    prices = ["5"] * 10_000 + [""] * 100 + ["6"] * 10_000
    times = [clock.of_seconds(n).replace(":", "") for n in range(len(prices))]
    curve = chart.curve(times, prices)
    assert curve is not None and curve.chart.line.count("M") == 2


def test_a_price_between_gaps_is_a_dot():
    curve = chart.curve(["090000", "090001", "090002"], ["", "5", ""])
    assert curve is not None and curve.chart.line == "M300.0,100.0h0"


def test_the_axis_of_prices_need_not_hold_zero():
    curve = chart.curve(["090000", "090001"], ["1700", "1710"])
    assert curve is not None and curve.chart.labels[-1] == "1,700"
    flat = chart.curve(["090000", "090001"], ["1700", "1700"])
    assert flat is not None and flat.chart.line == "M0.0,100.0 L600.0,100.0"
    nothing = chart.curve(["090000", "090001"], ["0", "0"])
    assert nothing is not None and nothing.chart.labels == ["1.0", "0.5", "0.0"]


def test_what_is_json_already_is_put_in_as_it_is():
    given = {"a": Written("0.10"), "b": [Written('["090006"]'), None], "c": '"x:0" Written'}
    body = ExactRenderer().render(given)
    assert body == b'{"a":0.10,"b":[["090006"],null],"c":"\\"x:0\\" Written"}'
    assert ExactRenderer().render({"error": {"code": "not_found"}}).startswith(b'{"error"')
