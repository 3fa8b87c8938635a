"""Dead letters on a real Kafka: search, page, download, API; and Kafka away."""

import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaProducer
from playwright.sync_api import expect

from config.services.engine import Engine
from streaming.kafka_log import topics
from streaming.kafka_log.reader import Reader
from streaming.sales import dead_letter_search
from tests.api_client import client_of, error
from tests.browsing import PHONE, faults, watched
from tests.services.waiting import until

pytestmark = pytest.mark.django_db

ADDRESS = "/streaming/sales/dead-letters/"
AT_MS = round(time.time() * 1000)  # or the broker would soon delete them
Send = Callable[..., None]


@pytest.fixture
def topic(kafka: Engine, settings) -> str:
    name = f"letters-{uuid.uuid4().hex[:8]}"
    settings.KAFKA_BOOTSTRAP_SERVERS = [kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"]]
    settings.SALES_DEAD_LETTER_TOPIC = name
    return name


@pytest.fixture
def send(topic: str, kafka: Engine) -> Iterator[Send]:
    """`send(number, partition=0, reason="late", value=b"…")`: a dead letter in a transaction."""
    with topics.admin() as client:
        topics.create(client, topic, 2)
    producer = KafkaProducer(
        bootstrap_servers=kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"],
        transactional_id=topic,
        retry_backoff_ms=5,
    )
    producer.init_transactions()
    producer.partitions_for(topic)
    reader = Reader()
    expected = dict.fromkeys((0, 1), 0)

    def send(*letters: dict, abort: bool = False) -> None:
        producer.begin_transaction()
        for letter in letters:
            number, value = letter["number"], letter.get("value", b"text")
            headers = {
                "reason": letter.get("reason", "late"),
                "detail": f"Number {number}.",
                "topic": "data",
                "partition": letter.get("partition", 0),
                "offset": number,
                "timestamp": AT_MS,
                "value_bytes": letter.get("value_bytes", len(value)),
            }
            producer.send(
                topic,
                value,
                b"key",
                [(name, str(text).encode()) for name, text in headers.items()],
                partition=letter.get("partition", 0),
                timestamp_ms=AT_MS + number,
            )
        producer.flush()  # or what is given up would never have been written
        producer.abort_transaction() if abort else producer.commit_transaction()
        for partition in {letter.get("partition", 0) for letter in letters}:
            mine = [each for each in letters if each.get("partition", 0) == partition]
            expected[partition] += len(mine) + 1  # and the mark
        # The broker writes the marks some time after its answer.
        until(lambda: reader.end(topic) == expected)

    yield send
    reader.close()
    producer.close()


def numbers(page: dead_letter_search.Page) -> list[int | None]:
    return [letter.source_offset for letter in page.rows]


def kafka_threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if "kafka" in each.name.lower()}


def test_newest_first_over_all_partitions_to_the_end(send: Send):
    for number in range(30):  # each transaction leaves a mark that is no record
        send({"number": number, "partition": number % 2})
    send({"number": 99}, abort=True)
    send({"number": 30}, {"number": 31, "partition": 1}, {"number": 32})
    found, before = [], ""
    while True:
        page = dead_letter_search.page(before, size=7)
        found += numbers(page)
        assert len(page.rows) <= 7 and page.whole
        if page.older is None:
            break
        before = page.older
    assert found == list(range(32, -1, -1))
    send({"number": 33})  # what comes meanwhile shifts nothing
    assert numbers(dead_letter_search.page(before, size=7)) == found[-5:]


def test_a_reason_is_looked_for_piece_by_piece(send: Send, monkeypatch: pytest.MonkeyPatch):
    send({"number": 0, "reason": "not_json"}, *({"number": n} for n in range(1, 40)))
    page = dead_letter_search.page(reason="not_json", size=5)
    assert numbers(page) == [0] and page.older is None and page.whole
    few = dead_letter_search.Bounds(5, 10, 20, 60.0, 100)
    monkeypatch.setattr(dead_letter_search, "OF_PAGES", few)
    page = dead_letter_search.page(reason="not_json", size=5)
    assert page.rows == [] and not page.whole and 20 <= page.looked_at <= 30
    rounds = 0
    while not page.rows:
        assert page.older is not None
        page, rounds = dead_letter_search.page(page.older, "not_json", 5), rounds + 1
    assert numbers(page) == [0] and rounds <= 3


def test_readers_leave_no_threads_behind(send: Send):
    send({"number": 1})
    before = kafka_threads()
    for _ in range(3):
        assert numbers(dead_letter_search.page()) == [1]
        assert len(list(dead_letter_search.json_lines())) == 1
    next(dead_letter_search.json_lines())  # broken off
    assert kafka_threads() <= before


def test_the_page_shows_them_and_leads_on(send: Send, read, client):
    send(
        {"number": 1, "reason": "not_json", "value": b"<script>alert(1)</script>"},
        {"number": 2, "reason": "not_utf8", "value": b"\xff\xfeA", "partition": 1},
        {"number": 3, "value": b"x" * 9_000, "value_bytes": 1_000_000},
        {"number": 4, "reason": "empty", "value": b""},
    )
    page = read(ADDRESS)
    assert "data · partition 0 · offset 4 empty Number 4. no value" in page
    assert "the first 4.1 kB of 1.0 MB" in page
    assert "not UTF-8: bytes as \\x… \\xff\\xfeA" in page
    assert "not JSON Number 1. <script>alert(1)</script>" in page
    assert "<script>alert" not in client.get(ADDRESS).content.decode()
    assert page.index("Number 4.") < page.index("Number 3.") < page.index("Number 1.")
    page = read(f"{ADDRESS}?reason=empty")
    assert "Number 4." in page and "Number 3." not in page
    assert "None for this reason." in read(f"{ADDRESS}?reason=ahead")
    assert "No older ones." in read(f"{ADDRESS}?before=0:0.1:0")
    send(*({"number": number} for number in range(5, 40)))
    older = client.get(ADDRESS).content.decode().split('rel="next" href="')[1].split('"')[0]
    assert "Number 14." in read(f"{ADDRESS}{older}")
    assert client.get(f"{ADDRESS}?before=nonsense").url == ADDRESS


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_it_fits_a_phone_and_is_used_by_keyboard(send: Send, page, user, sign_in, live_server):
    send(
        {"number": 1, "reason": "not_utf8", "value": b"\xff" * 900},
        {"number": 2, "value": b'{"StockCode": "85123A", "Description": "HEART"}' * 9},
        {"number": 3, "reason": "empty", "value": b""},
    )
    sign_in(user)
    with watched(page, live_server.url) as tab:
        for scheme in ("light", "dark"):
            tab.emulate_media(color_scheme=scheme)
            tab.goto(ADDRESS)
            assert faults(tab) == [], scheme
        fold = tab.locator(".raw-fold summary").first
        fold.press("Enter")
        expect(tab.locator(".raw-fold[open]")).to_have_count(1)
        tab.get_by_label("Reason").select_option("too late")
        tab.get_by_role("button", name="Filter").press("Enter")
        expect(tab.locator("tbody tr")).to_have_count(1)
        with tab.expect_download() as download:
            tab.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == "dead-letters-late.jsonl"
        tab.set_viewport_size(PHONE)
        tab.goto(ADDRESS)
        assert tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert faults(tab) == []


def test_the_download_has_whole_values(send: Send, client, user):
    client.force_login(user)
    send(
        {"number": 1, "value": b"x" * 60_000},
        {"number": 2, "reason": "not_utf8", "value": b"\xff", "partition": 1},
    )
    response = client.get("/streaming/sales/dead-letters.jsonl")
    lines = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]
    assert [each["source_offset"] for each in lines] == [2, 1]
    assert lines[0]["value"] is None and lines[0]["value_base64"] == "/w=="
    assert lines[1]["value"] == "x" * 60_000 and not lines[1]["value_is_cut"]
    assert 'filename="dead-letters.jsonl"' in response.headers["Content-Disposition"]
    response = client.get("/streaming/sales/dead-letters.jsonl?reason=late")
    assert len(b"".join(response.streaming_content).splitlines()) == 1


def test_a_large_download_ends_with_where_it_stopped(send: Send, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dead_letter_search, "DOWNLOAD_MOST", 3)
    send(*({"number": number} for number in range(5)))
    lines = [json.loads(line) for line in dead_letter_search.json_lines()]
    assert [each.get("source_offset") for each in lines] == [4, 3, 2, None]
    assert lines[-1]["more"] is True
    assert numbers(dead_letter_search.page(lines[-1]["before"])) == [1, 0]


def test_the_api_pages_through_them(send: Send, user):
    send(*({"number": number, "value": b"y" * 5_000} for number in range(3)))
    api = client_of(user, "streaming:read")
    answer = api.get("/api/streaming/sales/dead-letters/?page_size=2").json()
    assert [each["source_offset"] for each in answer["results"]] == [2, 1]
    assert answer["results"][0]["value_is_cut"] and len(answer["results"][0]["value"]) == 4_096
    assert answer["next"].startswith("http://testserver/api/streaming/sales/dead-letters/?")
    rest = api.get(answer["next"]).json()
    assert [each["source_offset"] for each in rest["results"]] == [0] and rest["next"] is None
    assert api.get("/api/streaming/sales/dead-letters/?reason=empty").json()["results"] == []


def test_a_missing_topic_is_no_failure(topic: str, read, user):
    assert f"There is no topic {topic} yet" in read(ADDRESS)
    answer = client_of(user, "streaming:read").get("/api/streaming/sales/dead-letters/").json()
    assert answer == {"next": None, "whole": True, "results": []}


def test_an_empty_topic_is_good_news(send: Send, read):
    assert "None: every message so far was a sale." in read(ADDRESS)


@pytest.mark.parametrize("silent", [False, True])
def test_without_kafka_it_says_so_soon(
    silent: bool, read, client, user, settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dead_letter_search, "TIMEOUT_SECONDS", 0.5)
    before = kafka_threads()
    with socket.socket() as broker:
        broker.bind(("127.0.0.1", 0))
        if silent:  # takes connections, and never says a word
            broker.listen()
        port = broker.getsockname()[1]
        settings.KAFKA_BOOTSTRAP_SERVERS = [f"127.0.0.1:{port}"]
        page = read(ADDRESS, 503)
        assert "They can't be read just now." in page and str(port) in page
        response = client.get("/streaming/sales/dead-letters.jsonl", follow=True)
        assert response.redirect_chain == [(ADDRESS, 302)]
    assert kafka_threads() <= before


def test_readers_don_t_take_all_threads(topic: str, user, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dead_letter_search, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(dead_letter_search, "_slots", threading.BoundedSemaphore(1))
    dead_letter_search._slots.acquire()
    refused = error(
        client_of(user, "streaming:read").get("/api/streaming/sales/dead-letters/"), 503
    )
    assert "others read dead letters just now" in refused["message"]
