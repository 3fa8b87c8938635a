"""The page of sales as it is rendered, from snapshots that are really on the board."""

import time

import pytest
from django.conf import settings

from products.models import Product
from streaming.sales import board
from tests.streaming.showing import AT, age, partition, selling, snapshot

pytestmark = pytest.mark.django_db

ADDRESS = "/streaming/sales/"
TWO_KEYS = {
    "offset": 123_456,
    "reason": "two_keys",
    "detail": "StockCode 85123A has another key than before.",
    "advice": "Copy the topic with `manage.py rekey_sales`.",
}


def test_without_an_instance_it_says_how_to_start_one(read):
    page = read(ADDRESS)
    assert "No instance runs" in page
    assert "celery -A config.celery worker" in page and "--consumer sales" in page
    assert "Largest sums" not in page and "per second" not in page


def test_figures_of_all_instances_are_added_up(read):
    board.publish(snapshot("a", partition_count=2, rate_in=1000.0))
    board.publish(
        snapshot("b", partitions=[partition(1, lag=5, keys=2)], partition_count=2, rate_in=234.5)
    )
    page = read(ADDRESS)
    for figure in ("1,234 in per second", "15 messages waiting", "42 StockCodes", "40 kB"):
        assert figure in page
    assert "a running 0" in page and "b running 1" in page


def test_the_largest_sums_have_names_bars_and_plain_decimals(read, client):
    product = Product.objects.create(sku="85123a", name="Heart holder <b>")
    board.publish(
        snapshot(
            top=[
                selling("85123A", "1234567.5"),
                selling("small", "0.000001"),
                selling("back", "-20.0", sales=1),
            ]
        )
    )
    page = read(ADDRESS)
    assert "Largest sums of the last 10 minutes until 1 Jan 2026, 00:01:00 UTC" in page
    assert "85123A Heart holder <b> 1,234,567.50 3 1 Jan 2026, 00:00 UTC" in page
    assert "small – 0.000001" in page and "back – -20.00" in page
    body = client.get(ADDRESS).content.decode()
    assert [part.split('"')[0] for part in body.split('<rect width="')[1:]] == ["100.0", "0.0", "0"]
    assert product.name not in body


def test_equal_sums_keep_their_order_however_instances_answer(read):
    codes = [f"C{number:02}" for number in range(9)]
    for each in ("a", "b", "c"):
        number = ord(each) - ord("a")
        top = [selling(code, partition=number) for code in reversed(codes[number::3])]
        board.publish(snapshot(each, partitions=[partition(number)], partition_count=3, top=top))
    page = read(ADDRESS)
    places = [page.index(code) for code in codes]
    assert places == sorted(places)


def test_the_filter_finds_by_part_and_offers_what_is_not_there(read):
    board.publish(snapshot(top=[selling("85123A"), selling("22423")]))
    page = read(f"{ADDRESS}?find=123a")
    assert "85123A" in page and "22423" not in page and "Open 123a" in page
    assert "Open 85123A" not in read(f"{ADDRESS}?find=85123A")
    page = read(f"{ADDRESS}?find=%3Ci%3Enothing")
    assert "None of the 2 largest sums has “<i>nothing” in its StockCode." in page


def test_a_halted_partition_says_what_to_do(read, client):
    board.publish(snapshot(partitions=[partition(3, halted=TWO_KEYS)], state="halted"))
    page = read(ADDRESS)
    assert "Partition 3 is halted at offset 123456. StockCode 85123A has another key" in page
    assert "Copy the topic with `manage.py rekey_sales`." in page
    assert 'class="notice bad"' in client.get(ADDRESS).content.decode()


def test_partitions_without_an_owner_are_shown_as_such(read):
    board.publish(snapshot(partitions=[partition(1)], partition_count=4))
    page = read(ADDRESS)
    assert "Nobody has partitions 0, 2 and 3 just now." in page
    assert "0 nobody – –" in page


def test_a_replay_shows_how_far_it_is(read, client):
    replay = {"from": 1_000, "at": 4_000, "to": 5_000}
    board.publish(snapshot(state="replaying", partitions=[partition(0, replay=replay)]))
    assert "Reading the window again: 75 % of 4,000 messages" in read(ADDRESS)
    assert 'max="100" value="75.0"' in client.get(ADDRESS).content.decode()


def test_what_an_instance_waits_for_is_said_in_its_words(read):
    words = "No broker answers at kafka:9092. Start Kafka."
    board.publish(snapshot("one", state="waiting", waiting_for=words, partitions=[]))
    page = read(ADDRESS)
    assert f"one waits: {words}" in page
    assert "No sales yet" not in page


def test_warnings_are_said_once(read):
    warning = {"code": "retention", "words": "The topic keeps messages for 5 minutes only."}
    for name in ("a", "b"):
        board.publish(snapshot(name, warnings=[warning]))
    assert read(ADDRESS).count(warning["words"]) == 1


def test_without_sales_it_says_how_to_make_some(read):
    board.publish(snapshot())
    page = read(ADDRESS)
    assert "No sales yet" in page
    assert "python manage.py generate_sales FILE --rate 100" in page


def test_old_figures_are_marked(read, client):
    board.publish(snapshot(top=[selling("A")]))
    assert "No news." not in read(ADDRESS)
    age(125.0)
    page = read(ADDRESS)
    assert "No news." in page and "silent for 12" in page
    assert 'data-live="sales" class="old"' in client.get(ADDRESS).content.decode()


def test_an_instance_is_shown_with_host_and_process(read):
    board.publish(snapshot(host="worker-7", pid=4711))
    assert "shop-1.1 worker-7 · 4711" in read(ADDRESS)


def test_other_groups_are_named(read):
    board.publish(snapshot())
    board.publish(snapshot(group="try-out"))
    page = read(ADDRESS)
    assert "Another group of consumers runs too: try-out." in page
    assert f"This page shows {settings.SALES_GROUP}" in page


def test_the_last_refused_messages_are_shown_as_text(read):
    refused = {
        "partition": 1,
        "offset": 998_000,
        "reason": "missing_field",
        "detail": "There is no field Price.",
        "text": '{"StockCode": "<script>"}',
    }
    board.publish(snapshot(recent_refusals=[refused]))
    assert (
        'partition 1 offset 998000 field missing There is no field Price. {"StockCode": "<script>"}'
        in read(ADDRESS)
    )


def test_without_redis_the_page_says_so(read, own_valkey, settings):
    engine = own_valkey()
    settings.REDIS_URL = engine.variables()["REDIS_URL"]
    engine.kill()
    for address in (ADDRESS, f"{ADDRESS}85123A/"):
        assert "Redis is away, so nobody knows how sales are doing." in read(address)


def test_times_that_no_calendar_has_are_shown_as_numbers(read):
    board.publish(
        snapshot(partitions=[partition(watermark=1e300)], top=[selling("A", last_at=1e300)])
    )
    assert "1e+300" in read(ADDRESS)


def test_its_part_alone_is_for_the_script(client, user):
    client.force_login(user)
    board.publish(snapshot(top=[selling("A")]))
    response = client.get(ADDRESS, headers={"HX-Request": "true"})
    body = response.content.decode()
    assert body.lstrip().startswith('<div id="sales" data-live')
    assert "HX-Request" in response.headers["Vary"]


def test_fifty_sums_and_their_products_cost_one_query(client, user, django_assert_num_queries):
    client.force_login(user)
    for number in range(50):
        Product.objects.create(sku=f"C{number}", name="Lamp")
    board.publish(snapshot(top=[selling(f"C{number}") for number in range(50)]))
    client.get(ADDRESS)
    with django_assert_num_queries(3):  # session, user, products
        assert client.get(ADDRESS).status_code == 200


def test_snapshots_of_the_future_and_of_long_ago_break_nothing(read):
    board.publish(snapshot("a", at=time.time() + 3600))
    board.publish(snapshot("b", at=AT))
    assert "a running" in read(ADDRESS)
