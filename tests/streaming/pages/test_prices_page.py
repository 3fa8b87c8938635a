"""Pages of prices as they are rendered, from what the store has really written."""

import json
import re
import time
from html import unescape

import pytest

from config.consumers import overview as consumers
from streaming.prices import board, views
from streaming.prices.calculations import Asked
from tests.streaming import pricing
from tests.streaming.pricing import age, partition, snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_prices")]

ADDRESS = "/streaming/prices/"
HALTED = {
    "reason": "topic_recreated",
    "detail": "the topic was deleted and made again",
    "advice": "Run `manage.py seek_prices`.",
}


def now() -> int:
    """The minute, read anew: one that has long been over is told on the page."""
    return int(time.time() // 60)


def three_stocks() -> None:
    pricing.add("stock1", ("090001", "1000"), ("090002", "1018"))
    pricing.add("stock2", ("090003", "450"), ("090004", ""), ("090005", "441.5"))
    pricing.add("stock3", ("090006", "1734"))


def calculated(name: str, price: str, token: str) -> None:
    """Its performance, as a worker writes it."""
    store = pricing.store()
    minute = now()
    (asked,) = [each for each in store.ask(minute) if each.stock == name]
    assert asked == Asked(name, price, minute)
    assert store.begin(asked) and store.finish(asked, token, 3.04)


def test_without_prices_it_says_what_to_do(read):
    page = read(ADDRESS)
    assert "No prices yet" in page
    assert "manage.py publish_prices FILE" in page and "manage.py load_prices FILE" in page
    assert "Stocks" not in page.split("No prices yet")[0].split("Prices")[-1]


def test_stocks_have_price_time_change_and_rows(read):
    three_stocks()
    page = read(ADDRESS)
    assert "3 stocks 6 rows kept" in page
    assert "stock1 1,018 09:00:02 +18 (+1.80 %) – not yet 2 " in page
    assert "stock2 441.5 09:00:05 -8.5 (-1.89 %) – not yet 3 " in page
    assert "stock3 1,734 09:00:06 – – not yet 1 " in page


def test_a_price_that_is_missing_leaves_the_one_before(read):
    pricing.add("stock1", ("090001", "1000"), ("090002", "1018"), ("090003", ""))
    assert "stock1 1,018 09:00:02 +18" in read(ADDRESS)


def test_small_curves_have_gaps_where_data_is_empty(read, client):
    pricing.add("stock1", ("090000", "10"), ("090010", ""), ("090020", "20"), ("090040", "10"))
    read(ADDRESS)
    body = client.get(ADDRESS).content.decode()
    path = body.split('<path class="line" d="')[1].split('"')[0]
    assert path == "M0.0,28.0h0M60.0,0.0L120.0,28.0"


def test_performance_has_its_time_and_failures_their_words(read):
    three_stocks()
    calculated("stock2", "441.5", "0.25")
    page = read(ADDRESS)
    assert "+18 (+1.80 %) – asked for 2 " in page.replace("not yet ", "")
    assert "stock2 441.5 09:00:05 -8.5 (-1.89 %) 0.25 " in page
    store = pricing.store()
    asked = Asked("stock3", "1734", store.asked_minute())
    store.begin(asked)
    assert "calculating" in read(ADDRESS)
    store.fail(asked, "ZeroDivisionError: <b>by zero</b>")
    page = read(ADDRESS)
    assert "failed ZeroDivisionError: <b>by zero</b>" in page
    assert "Performance is behind. No new performance of 1 of 3 stocks" in page


def test_performance_that_nobody_asks_for_is_behind(read):
    three_stocks()
    page = read(ADDRESS)
    assert "Performance is behind. Nobody has asked for performance yet" in page


def test_the_updater_shows_offset_and_lag_of_each_partition(read):
    three_stocks()
    board.publish(snapshot("a", partitions=[partition(0)], partition_count=2))
    board.publish(
        snapshot("b", partitions=[partition(1, position=70, end=75, lag=5)], partition_count=2)
    )
    page = read(ADDRESS)
    assert "240 in per second 15 messages waiting" in page
    assert "Partitions of main_topic" in page
    assert "0 running a 500 510 10" in page and "1 running b 70 75 5" in page
    assert "a shop-1 · 42 running 0 120 507 3 1" in page


def test_a_halted_partition_says_what_to_do(read, client):
    board.publish(snapshot(partitions=[partition(3, halted=HALTED)], state="halted"))
    page = read(ADDRESS)
    assert "Partition 3 is halted at offset 503. The topic was deleted and made again" in page
    assert "Run `manage.py seek_prices`." in page
    assert 'class="notice bad"' in client.get(ADDRESS).content.decode()


def test_what_was_lost_and_what_is_waited_for_is_said(read):
    lost = "offsets 5 to 70 were deleted before they were read"
    board.publish(snapshot("a", partitions=[partition(0, notice=lost)], partition_count=3))
    board.publish(
        snapshot("b", state="waiting", waiting_for="Redis can't be reached", partitions=[])
    )
    page = read(ADDRESS)
    assert f"Partition 0: {lost}" in page
    assert "b waits: Redis can't be reached" in page
    assert "Nobody has partitions 1 and 2 just now." in page


def test_an_updater_that_does_not_run_is_said_beside_the_prices(read):
    three_stocks()
    page = read(ADDRESS)
    assert "stock1 1,018" in page and "No instance runs" in page and "--consumer prices" in page


def test_another_group_is_named_and_not_shown(read):
    board.publish(snapshot("theirs", group="other"))
    page = read(ADDRESS)
    assert "Another group of consumers runs too: other." in page and "theirs" not in page


def test_old_news_are_marked(read, client):
    three_stocks()
    board.publish(snapshot())
    assert "No news." not in read(ADDRESS)
    age(125.0)
    page = read(ADDRESS)
    assert "No news." in page and re.search(r"silent for 1[23]\d s", page)
    assert 'data-live="prices" class="old"' in client.get(ADDRESS).content.decode()


def test_the_filter_finds_by_part_of_the_name(read):
    three_stocks()
    page = read(f"{ADDRESS}?find=STOCK2")
    assert "stock2 441.5" in page and "stock1" not in page
    assert "None of the 3 stocks has “<i>none”" in read(f"{ADDRESS}?find=%3Ci%3Enone")


def test_of_many_stocks_the_first_are_shown(read):
    for number in range(1, 103):
        pricing.add(f"stock{number}", ("090000", "5"))
    page = read(ADDRESS)
    assert "the first 100 of 102" in page and "stock100" in page and "stock101" not in page
    assert "stock101" in read(f"{ADDRESS}?find=101")


def test_without_the_redis_of_prices_the_updater_is_still_shown(read, own_valkey, settings):
    engine = own_valkey()
    settings.PRICES_REDIS_URL = engine.variables()["PRICES_REDIS_URL"]
    board.publish(snapshot())
    engine.kill()
    page = read(ADDRESS)
    assert "Prices can't be read just now." in page and "connection refused" in page
    assert "0 running shop-1.1 500 510 10" in page and "No prices yet" not in page
    assert "Prices can't be read just now." in read(f"{ADDRESS}stocks/stock1/")
    assert "They can't be read just now." in read(f"{ADDRESS}dead-letters/", 503)


def test_without_the_redis_of_pages_prices_are_still_shown(read, own_valkey, settings):
    three_stocks()
    engine = own_valkey()
    settings.REDIS_URL = engine.variables()["REDIS_URL"]
    engine.kill()
    page = read(ADDRESS)
    assert "The Redis of live pages is away" in page and "stock1 1,018" in page
    assert "1,018 at 09:00:02" in read(f"{ADDRESS}stocks/stock1/")


def test_a_redis_that_keeps_nothing_is_warned_of(read, own_valkey, settings):
    engine = own_valkey()
    settings.PRICES_REDIS_URL = engine.variables()["PRICES_REDIS_URL"]
    assert "over a restart" not in read(ADDRESS)
    client = pricing.redis_of_prices()
    client.config_set("appendonly", "no")
    assert "keeps nothing over a restart" in read(ADDRESS)
    client.config_set("save", "900 1")
    assert "after a restart it has what its last snapshot on disk has" in read(ADDRESS)
    client.config_set("appendonly", "yes")
    client.config_set("maxmemory", "1gb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    page = read(ADDRESS)
    assert "(maxmemory-policy" not in page and "`maxmemory-policy allkeys-lru`" in page


def test_a_key_that_others_changed_does_not_hide_the_other_stocks(read):
    three_stocks()
    client = pricing.redis_of_prices()
    client.delete("stock1")
    client.rpush("stock1", "x")
    client.set("stock2", '{"time": ["09:00"], "price": [7]}')
    page = read(ADDRESS)
    assert "stock3 1,734" in page
    assert "was changed by others and is no stock's value" in read(f"{ADDRESS}stocks/stock1/")
    assert "09:00:00 7" in read(f"{ADDRESS}stocks/stock2/")


def test_its_part_alone_is_for_the_script(client, user):
    client.force_login(user)
    three_stocks()
    for address in (ADDRESS, f"{ADDRESS}stocks/stock1/"):
        response = client.get(address, headers={"HX-Request": "true"})
        assert response.content.decode().lstrip().startswith('<div id="prices" data-live="prices"')
        assert "HX-Request" in response.headers["Vary"]


def test_the_consumer_is_shown_as_the_operations_page_knows_it(read, monkeypatch):
    crashed = [{"name": "prices", "state": "crashed", "host": "shop-1", "error": "Bang"}]
    monkeypatch.setattr(consumers, "overview", lambda: crashed)
    assert "The instance on shop-1 has crashed Bang" in read(ADDRESS)


def test_a_stock_has_its_figures_performance_and_newest_rows(read, client):
    three_stocks()
    calculated("stock2", "441.5", "0.25")
    pricing.add("stock2", ("090007", "460"))
    page = read(f"{ADDRESS}stocks/stock2/")
    assert "stock2 id 2" in page
    assert "460 at 09:00:07 +18.5 +4.19 % from the one before 0.25 performance 4 rows" in page
    assert "With the price 441.5 (now 460: calculated anew at the next full minute)" in page
    assert "It took 3.0 s" in page
    assert "Time Price 09:00:07 460 09:00:05 441.5 09:00:04 no data 09:00:03 450" in page
    assert 'href="/api/stocks/stock2/"' in client.get(f"{ADDRESS}stocks/stock2/").content.decode()


def test_a_failed_calculation_is_said_on_the_stocks_page(read):
    three_stocks()
    store = pricing.store()
    for asked in store.ask(now()):
        store.begin(asked)
        store.fail(asked, "It took longer than 10 s.")
    page = read(f"{ADDRESS}stocks/stock1/")
    assert (
        "calculation of performance failed. It is tried again each minute. It took longer" in page
    )
    assert "not calculated yet" in page


def test_the_curve_has_its_axes_and_its_moments(read, client):
    pricing.add("s", ("090000", "1700"), ("090030", "1710.5"), ("090100", ""), ("090200", "1690"))
    page = read(f"{ADDRESS}stocks/s/")
    assert "1,720 1,710 1,700 1,690" in page
    assert "09:00:00 09:00:30 09:01:00 09:01:30 09:02:00" in page
    body = client.get(f"{ADDRESS}stocks/s/").content.decode()
    assert "Prices from 1,690 to 1,710.5 between 09:00:00 and 09:02:00, 1,690 last" in body
    points = json.loads(unescape(body.split('data-points="')[1].split('"')[0]))
    assert points[1:3] == [[30.0, "1,710.5", "09:00:30"], [60.0, "no data", "09:01:00"]]
    assert body.split('<path class="line" d="')[1].split('"')[0].count("M") == 2, "a gap"


def test_the_curve_is_cut_to_times_of_day(read, client):
    pricing.add("s", *((f"09{n:02}00", str(n + 1)) for n in range(30)))
    page = read(f"{ADDRESS}stocks/s/?from=09:05&to=090700")
    assert "Newest rows between these times" in page
    assert "Time Price 09:07:00 8 09:06:00 7 09:05:00 6" in page and "09:04:00" not in page
    body = client.get(f"{ADDRESS}stocks/s/?from=09:05&to=090700").content.decode()
    assert 'href="/api/stocks/s/?from=090500&amp;to=090700"' in body
    assert 'name="from" value="09:05:00"' in body
    page = read(f"{ADDRESS}stocks/s/?from=10:00")
    assert "No curve: no rows between these times." in page and "30 rows kept" in page


@pytest.mark.parametrize("text", ["9", "25:00", "090060", "<b>", "１２：００"])
def test_what_is_no_time_of_day_is_said(read, text):
    three_stocks()
    page = read(f"{ADDRESS}stocks/stock1/", data={"from": text})
    assert f"“{text}” is no time of day." in page


def test_times_the_wrong_way_round_are_said(read):
    three_stocks()
    page = read(f"{ADDRESS}stocks/stock1/?from=10:00&to=09:00")
    assert "The time “from” is later than “to”" in page


def test_of_a_long_history_the_newest_rows_are_drawn(read, monkeypatch):
    monkeypatch.setattr(views, "DRAWN_ROWS", 40)
    monkeypatch.setattr(views, "FILTERED_ROWS", 60)
    pricing.add("s", *((f"09{n // 60:02}{n % 60:02}", str(n + 1)) for n in range(100)))
    page = read(f"{ADDRESS}stocks/s/")
    assert "40 rows, of the newest 40 of 100; older ones are in the JSON" in page
    assert "09:01:00 09:01:10 09:01:20 09:01:29 09:01:39" in page
    page = read(f"{ADDRESS}stocks/s/?to=09:00:30")
    assert "No curve: no rows between these times among the newest 60 of 100." in page


def test_a_name_in_capitals_is_the_same_stock_and_an_unknown_one_is_not_found(read, client):
    three_stocks()
    assert "1,018 at 09:00:02" in read(f"{ADDRESS}stocks/Stock1/")
    assert client.get(f"{ADDRESS}stocks/stock9/").status_code == 404
    assert client.get(f"{ADDRESS}stocks/9/").status_code == 404
