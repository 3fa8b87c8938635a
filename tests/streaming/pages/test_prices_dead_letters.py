"""The page of refused rows of prices, its filter, its pages and its download."""

import json

import pytest

from streaming.prices import dead_letters
from streaming.prices.store import Refused
from streaming.prices.words import REASONS
from tests.streaming import pricing

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_prices")]

ADDRESS = "/streaming/prices/dead-letters/"
DOWNLOAD = "/streaming/prices/dead-letters.jsonl"


def refuse(*letters: tuple[int, str, bytes]) -> None:
    """(at, reason, raw)."""
    pricing.put([], [Refused(at, reason, f"Number {at}.", raw) for at, reason, raw in letters])


def many(count: int, reason: str = "bad_time") -> None:
    refuse(*((number, reason, b"text") for number in range(count)))


def test_no_dead_letters_are_good_news(read):
    page = read(ADDRESS)
    assert "None: every row so far was a price." in page
    assert "0 so far, of which the newest 10,000 are kept" in page


def test_each_has_its_place_reason_detail_and_text(read, client):
    refuse(
        (7, "negative_price", b'{"price": -5}'),
        (8, "not_json", b"<script>alert(1)</script>"),
        (9, "not_utf8", b"\xff\xfeA\x00"),
        (10, "too_large", b"x" * 70_000),
        (11, "empty", b""),
    )
    page = read(ADDRESS)
    assert "main_topic · partition 0 · offset 7 negative price Number 7." in page
    assert "not JSON Number 8. <script>alert(1)</script>" in page
    assert "not UTF-8: bytes as \\x… \\xff\\xfeA␀" in page
    assert "the first 4.1 kB of 70 kB" in page and "empty Number 11. no value" in page
    assert "<script>alert" not in client.get(ADDRESS).content.decode()
    assert page.index("Number 11.") < page.index("Number 8.") < page.index("Number 7.")
    assert "5 so far" in page


def test_rows_of_files_have_their_number(read):
    letter = Refused(12, "bad_line", "4 cells.", b"a,b,c,d")
    pricing.store().apply(pricing.Batch("csv", None, "{}", [], [letter]))
    assert "row 12 of the file bad line 4 cells. a,b,c,d" in read(ADDRESS)


def test_pages_follow_each_other_while_new_ones_come(read, client):
    many(60)
    found, address = [], ADDRESS
    for _ in range(3):
        page = read(address)
        found += [number for number in range(100) if f"Number {number}." in page]
        body = client.get(address).content.decode()
        if 'rel="next"' in body:
            address = ADDRESS + body.split('rel="next" href="')[1].split('"')[0]
        refuse((99, "bad_time", b"later"))
    assert sorted(found) == list(range(60))
    assert 'rel="next"' not in client.get(address).content.decode()
    assert client.get(f"{ADDRESS}?before=nonsense").url == ADDRESS


def test_a_reason_is_looked_for(read, monkeypatch):
    refuse((1, "negative_price", b"-5"))
    many(30)
    page = read(f"{ADDRESS}?reason=negative_price")
    assert "Number 1." in page and "Number 29." not in page
    assert "None for this reason." in read(f"{ADDRESS}?reason=empty")
    monkeypatch.setattr(dead_letters, "LOOK", 5)
    monkeypatch.setattr(dead_letters, "LOOK_AT_MOST", 20)
    page = read(f"{ADDRESS}?reason=negative_price")
    assert "None among the last 20." in page and "searched 20 of them so far" in page


def test_pages_of_a_rare_reason_lead_to_it(monkeypatch):
    monkeypatch.setattr(dead_letters, "LOOK", 5)
    monkeypatch.setattr(dead_letters, "LOOK_AT_MOST", 10)
    refuse((77, "negative_price", b"-5"))
    many(30)
    store, before, pages = pricing.store(), "", 0
    while True:
        page = dead_letters.page(store, before, "negative_price", 5)
        pages += 1
        if page.rows:
            break
        assert page.older is not None and not page.whole
        before = page.older
    assert [letter.number for letter in page.rows] == [77] and pages == 4
    assert page.older is None and page.whole


def test_the_download_has_them_line_by_line(client, user):
    client.force_login(user)
    refuse((1, "bad_time", b"text"), (2, "not_utf8", b"\xff"))
    response = client.get(DOWNLOAD)
    assert 'filename="prices-dead-letters.jsonl"' in response.headers["Content-Disposition"]
    lines = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]
    assert [each["number"] for each in lines] == [2, 1]
    assert lines[0]["value"] is None and lines[0]["value_base64"] == "/w=="
    assert lines[1]["value"] == "text" and lines[1]["place"] == pricing.PLACE
    response = client.get(f"{DOWNLOAD}?reason=bad_time")
    assert len(b"".join(response.streaming_content).splitlines()) == 1


def test_a_large_download_ends_with_where_it_stopped(monkeypatch):
    monkeypatch.setattr(dead_letters, "DOWNLOAD_MOST", 3)
    many(5)
    store = pricing.store()
    lines = [json.loads(line) for line in dead_letters.json_lines(store)]
    assert [each.get("number") for each in lines] == [4, 3, 2, None]
    rest = dead_letters.page(store, lines[-1]["before"])
    assert [letter.number for letter in rest.rows] == [1, 0]


def test_the_list_links_to_them_and_counts_those_there_ever_were(read):
    many(3)
    pricing.add("stock1", ("090000", "5"))
    pricing.store(letters_kept=1).apply(
        pricing.Batch("csv", None, "{}", [], [Refused(1, "bad_line", "", b"")])
    )
    assert "4 dead letters" in read("/streaming/prices/")
    assert "4 so far" in read(ADDRESS)


def test_all_reasons_have_words():
    assert all(words and words == words.strip() for words in REASONS.values())
