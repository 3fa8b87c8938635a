"""A dead letter as it is read; no Kafka."""

import json

import pytest

from streaming.kafka_log.reader import Record
from streaming.sales.dead_letter import REASONS, as_json, of_record, reason_of
from streaming.sales.dead_letter_search import parse_cursor
from streaming.sales.letters import Letters
from streaming.sales.messages import Refusal

HEADERS = {
    "reason": "late",
    "detail": "It is 5 s too late.",
    "topic": "data",
    "partition": "3",
    "offset": "12345",
    "timestamp": "1767225600123",
    "value_bytes": "17",
}


def record(
    value: bytes | None = b'{"StockCode": "A"', key: bytes | None = b"A", **headers
) -> Record:
    named = tuple((name, text.encode()) for name, text in {**HEADERS, **headers}.items())
    return Record(1, 7, 1_767_225_600_456, key, value, named)


def test_it_says_what_its_headers_say():
    letter = of_record(record())
    assert (letter.reason, letter.detail) == ("late", "It is 5 s too late.")
    assert (letter.source_topic, letter.source_partition, letter.source_offset) == (
        "data",
        3,
        12_345,
    )
    assert letter.source_at_ms == 1_767_225_600_123 and letter.key == "A"
    assert letter.text == '{"StockCode": "A"' and not letter.cut


def test_what_the_loop_writes_is_what_is_read():
    class Source:
        topic, partition, offset, timestamp = "data", 5, 99, 1_700_000_000_000
        key, value = b"\xff" * 2000, "ä".encode() * 40_000

    partition, message = Letters("data.dlq", lambda topic: 4).letter(
        Source, Refusal("ahead", "It is an hour ahead.")
    )
    read = Record(partition, 0, *message[:3], tuple(message.headers))
    letter = of_record(read)
    assert partition == 1 and reason_of(read) == letter.reason == "ahead"
    assert letter.source_offset == 99 and letter.value_bytes == 80_000
    assert letter.cut and letter.text == "ä" * (32 * 1024)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("reason", b"\xff\xfe"), ("partition", b"x"), ("offset", b""), ("timestamp", b"1e5")),
        (("offset", b"9" * 40), ("value_bytes", b"-3"), ("detail", b"x" * 100_000)),
    ],
)
def test_what_others_wrote_breaks_nothing(headers):
    letter = of_record(Record(0, 0, -1, None, None, headers))
    assert letter.source_offset is None and letter.value_bytes == 0 and letter.text == ""
    assert len(letter.detail) <= 2_000
    assert json.dumps(as_json(letter))


def test_a_value_is_kept_as_far_as_asked_for_and_never_half_a_character():
    letter = of_record(record("aaä€".encode(), value_bytes="7"), 5)
    assert letter.value == "aaä€".encode()[:5] and letter.cut and letter.text == "aaä"
    assert of_record(record(b"aa\xff\xffbb", value_bytes="6"), 5).text is None


def test_what_is_not_utf8_is_shown_as_bytes():
    letter = of_record(record(b"\xffA\x00\n", value_bytes="4"))
    assert letter.text is None and letter.shown == "\\xffA␀\n"
    told = as_json(letter)
    assert told["value"] is None and told["value_base64"] == "/0EACg=="


def test_control_characters_are_shown_as_pictures():
    assert of_record(record(b"a\x1b[31m\x7f\tb\n")).shown == "a␛[31m␡\tb\n"


@pytest.mark.parametrize(
    ("text", "bounds"), [("", {}), ("0:5", {0: 5}), ("0:120.17:0", {0: 120, 17: 0})]
)
def test_a_cursor_holds_an_offset_for_each_partition(text, bounds):
    assert parse_cursor(text) == bounds


@pytest.mark.parametrize(
    "text", ["x", "0", "0:", ":1", "0:1:2", "0:-1", "0:1..1:2", "²:1", "0:1.", "9" * 30 + ":1"]
)
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(ValueError, match="not a cursor"):
        parse_cursor(text)


def test_all_reasons_have_words():
    assert all(words and words == words.strip() for words in REASONS.values())
