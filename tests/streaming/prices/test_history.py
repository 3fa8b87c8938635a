"""Histories in parts, from values that the store has written."""

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streaming.prices import history
from streaming.prices.history import Between, Histories
from streaming.prices.value import NotAStock
from tests.streaming import pricing

pytestmark = pytest.mark.usefixtures("no_prices")

LONG = [
    (f"{9 + n // 3600:02}{n // 60 % 60:02}{n % 60:02}", str(n) if n % 7 else "")
    for n in range(9_000)
]


@pytest.fixture
def histories() -> Histories:
    return Histories(pricing.redis_of_prices())


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces that end anywhere: within rows, and at other rows in each list."""
    monkeypatch.setattr(history, "TIMES_BYTES", 71)
    monkeypatch.setattr(history, "PRICES_BYTES", 37)


def walk(histories: Histories, name: str, limit: int, **options) -> list[tuple[str, str]]:
    """All rows, page by page."""
    found: list[tuple[str, str]] = []
    after = 0
    while True:
        page = histories.rows(name, limit, after, **options)
        assert len(page.times) == len(page.prices) <= limit
        found += zip(page.times, page.prices, strict=True)
        if page.next is None:
            return found
        assert page.next > after
        after = page.next


def test_an_empty_history_has_no_rows(histories):
    pricing.add("a", ("090000", "1"))
    pricing.store().clear(pricing.PLACE)
    assert histories.rows("a", 10) == ([], [], None)
    assert histories.rows("unknown", 10) == ([], [], None)


def test_a_long_history_is_read_in_pieces(histories):
    pricing.add("long", *LONG)
    assert walk(histories, "long", 10_000) == LONG
    assert walk(histories, "long", 999) == LONG
    page = histories.rows("long", 5, 8_996)
    assert (page.times, page.next) == ([at for at, _ in LONG[8_996:]], None)
    assert histories.rows("long", 5, 9_000) == histories.rows("long", 5, 10**9) == ([], [], None)


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["090000", "235959", "000000", "101112"]),
            st.sampled_from(["", "0", "7", "123456789012.123456", "12.5"]),
        ),
        max_size=60,
    ),
    limit=st.integers(1, 20),
    between=st.sampled_from(
        [Between(), Between("090000"), Between("", "101112"), Between("1", "2")]
    ),
)
def test_pages_together_are_the_history(small_pieces, histories, rows, limit, between):
    pricing.clear()
    if rows:
        pricing.add("stock1", *rows)
    wanted = [row for row in rows if not between or between.holds(row[0])]
    assert walk(histories, "stock1", limit, between=between) == wanted


def test_times_of_both_kinds_are_compared_as_times(histories):
    text = '{"id": 1, "price": [1, "", 3, 4], "time": ["09:00", "09:01", "9:02", "090130"]}'
    pricing.store().seed("stock1", text)
    page = histories.rows("stock1", 10, between=Between("090100", "090130"))
    assert (page.times, page.prices) == (["09:01", "090130"], ["", "4"])


def test_a_rare_time_is_looked_for_page_by_page(histories, monkeypatch):
    monkeypatch.setattr(history, "LOOK_AT_MOST", 1_000)
    monkeypatch.setattr(history, "TIMES_BYTES", 9 * 500)
    pricing.add("long", *LONG)
    page = histories.rows("long", 5, between=Between("112959"))
    assert page.times == [] and 1_000 <= page.next <= 1_500
    assert walk(histories, "long", 5, between=Between("112959")) == [LONG[-1]]


def test_what_comes_or_is_cut_off_meanwhile_shifts_nothing(histories):
    keeping = pricing.store(kept=10)
    pricing.add("s", *((f"0900{n:02}", str(n)) for n in range(10)), into=keeping)
    first = histories.rows("s", 4)
    assert first.prices == ["0", "1", "2", "3"]
    pricing.add("s", ("090010", "10"), ("090011", "11"), ("090012", "12"), into=keeping)
    second = histories.rows("s", 4, first.next)
    assert second.prices == ["4", "5", "6", "7"]
    pricing.add("s", *((f"0900{n:02}", str(n)) for n in range(13, 23)), into=keeping)
    rest = histories.rows("s", 100, second.next)
    assert rest.prices == [str(n) for n in range(13, 23)], "goes on at the oldest there is"


def test_a_history_that_is_begun_anew_between_two_pieces_is_read_again(
    histories, small_pieces, monkeypatch
):
    keeping = pricing.store(kept=40)
    rows = [(f"09{n:04}", str(n)) for n in range(40)]
    pricing.add("s", *rows, into=keeping)
    real, calls = histories._piece, []

    def piece(**given):
        calls.append(given["args"][0])
        if len(calls) == 2:
            pricing.add("s", ("100000", "40"), into=keeping)  # cuts the oldest
        return real(**given)

    monkeypatch.setattr(histories, "_piece", piece)
    assert histories.rows("s", 100).prices == [str(n) for n in range(1, 41)]
    assert calls.count(0) == 2, "it began again"


def test_a_value_that_others_wrote_is_read_as_it_is(histories):
    pricing.add("stock1", ("090000", "1"))
    text = '{"time": ["09:00", "09:01", "09:02"], "price": [10.50, "", 12], "id": 1}'
    pricing.redis_of_prices().set("stock1", text)
    assert walk(histories, "stock1", 2) == [("09:00", "10.50"), ("09:01", ""), ("09:02", "12")]
    assert histories.newest("stock1", 2) == (["09:01", "09:02"], ["", "12"])


@pytest.mark.parametrize("text", ["no json", '{"credit": 5}', '{"time": [1], "price": []}'])
def test_what_is_no_stock_any_more_is_said_to_be_none(histories, text):
    pricing.add("stock1", ("090000", "1"))
    pricing.redis_of_prices().set("stock1", text)
    for read in (lambda: histories.rows("stock1", 5), lambda: histories.newest("stock1", 5)):
        with pytest.raises(NotAStock):
            read()


def test_a_key_of_another_kind_is_no_stock(histories):
    pricing.add("stock1", ("090000", "1"))
    client = pricing.redis_of_prices()
    client.delete("stock1")
    client.rpush("stock1", "x")
    with pytest.raises(NotAStock):
        histories.rows("stock1", 5)
    with pytest.raises(NotAStock):
        histories.newest("stock1", 5)
