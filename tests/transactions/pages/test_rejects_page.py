"""The page of refused messages, its filter, its pages and its download."""

import json

import pytest

from transactions.ledger import rejects
from transactions.ledger.words import REASONS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("ledger")]

ADDRESS = "/transactions/ledger/rejects/"
DOWNLOAD = "/transactions/ledger/rejects.jsonl"


def lines(response) -> list[dict]:
    return [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]


def test_before_the_consumer_ran_there_are_none(read, client):
    assert "has never run on this database" in read(ADDRESS)
    assert lines(client.get(DOWNLOAD)) == []


def test_none_is_good_news(read, ledger):
    ledger.begin()
    assert "None so far." in read(ADDRESS)


def test_each_has_its_reason_detail_and_raw_body(read, client, ledger):
    ledger.begin()
    ledger.reject(b"<script>alert(1)</script>")
    ledger.reject(b"\xff\xfeA\x00", "not_utf8")
    ledger.reject(b"x" * 70_000, "too_large")
    ledger.reject(b'{"id": 9, "value": 1}', "unknown_provider", message_id="m-<7>")
    ledger.reject(b"", "not_json")
    page = read(ADDRESS)
    assert "not JSON Why not_json. <script>alert(1)</script>" in page
    assert "not UTF-8: bytes as \\x… \\xff\\xfeA␀" in page
    assert "the first 66 kB of 70 kB" in page and "no value" in page
    assert 'message id m-<7> unknown provider Why unknown_provider. {"id": 9, "value": 1}' in page
    body = client.get(ADDRESS).content.decode()
    assert "<script>alert" not in body and "<h1>Rejects</h1>" in body


def test_pages_follow_each_other_while_new_ones_come(read, client, ledger):
    ledger.begin()
    for number in range(60):
        ledger.reject(b"x", detail=f"Number {number}.")
    found, address = [], ADDRESS
    for _ in range(3):
        page = read(address)
        found += [number for number in range(100) if f"Number {number}." in page]
        body = client.get(address).content.decode()
        if 'rel="next"' in body:
            address = ADDRESS + body.split('rel="next" href="')[1].split('"')[0]
        ledger.reject(b"x", detail="Later.")
    assert sorted(found) == list(range(60))
    assert 'rel="next"' not in client.get(address).content.decode()
    assert "Later." in read(f"{ADDRESS}?before=nonsense")


def test_a_rare_reason_is_looked_for_in_steps(read, client, ledger, monkeypatch):
    monkeypatch.setattr(rejects, "LOOK_AT_MOST", 20)
    ledger.begin()
    ledger.reject(b"x", "bad_id", detail="The rare one.")
    for _ in range(30):
        ledger.reject(b"x")
    page = read(f"{ADDRESS}?reason=bad_id")
    assert "None among the last 20." in page and "searched 20 of them so far" in page
    body = client.get(f"{ADDRESS}?reason=bad_id").content.decode()
    address = ADDRESS + body.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "The rare one." in read(address)
    assert "No older ones." in read(f"{ADDRESS}?reason=not_utf8&before=5")
    ledger.execute("DELETE FROM stockroom_ledger.rejects WHERE id > 5")
    assert "None for this reason." in read(f"{ADDRESS}?reason=not_utf8")
    assert "The rare one." in read(f"{ADDRESS}?reason=nonsense&before=5")


def test_the_download_has_them_line_by_line(client, user, ledger, monkeypatch):
    monkeypatch.setattr(rejects, "DOWNLOAD_ROWS", 2)
    client.force_login(user)
    ledger.begin()
    for body in (b"one", b"two", b"\xff", b"four", b"five"):
        ledger.reject(body, "not_utf8" if body == b"\xff" else "not_json")
    response = client.get(DOWNLOAD)
    assert 'filename="ledger-rejects.jsonl"' in response.headers["Content-Disposition"]
    found = lines(response)
    assert [each["body"] for each in found] == ["five", "four", None, "two", "one"]
    assert found[2]["body_base64"] == "/w==" and found[2]["reason"] == "not_utf8"
    (only,) = lines(client.get(f"{DOWNLOAD}?reason=not_utf8"))
    assert only == found[2]
    monkeypatch.setattr(rejects, "DOWNLOAD_MOST", 3)
    found = lines(client.get(DOWNLOAD))
    assert [each.get("body") for each in found] == ["five", "four", None, None]
    assert found[-1] == {"more": True, "before": found[2]["id"]}


def test_all_reasons_have_words(read, ledger):
    ledger.begin()
    for code in REASONS:
        ledger.reject(b"x", code)
    page = read(ADDRESS)
    assert all(words in page for words in REASONS.values())


def test_without_the_database_the_download_leads_back(client, user, settings, unused_tcp_port):
    client.force_login(user)
    settings.LEDGER_DATABASE_URL = f"postgresql://x@127.0.0.1:{unused_tcp_port}/x"
    response = client.get(DOWNLOAD)
    assert response.status_code == 302 and response.url == ADDRESS
