"""Whether what is committed in the topics is what the oracle makes of the input."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.streaming.sales import oracle

Log = Mapping[int, Sequence[Any]]  # ConsumerRecords by partition


class Judged(NamedTuple):
    reasons: Counter[str]  # of dead letters
    right: int  # outputs
    inputs: Log
    outputs: Log


def judge(
    topic: str, inputs: Log, outputs: Log, dead_letters: Log, limits: Mapping[str, float]
) -> Judged:
    """Fails at the first difference. `topic` is the input's name."""
    reasons: Counter[str] = Counter()
    count = 0
    letters: dict[int, list[Any]] = {}
    for records in dead_letters.values():
        for letter in records:
            letters.setdefault(int(headers_of(letter)["partition"]), []).append(letter)
    for partition, records in sorted(inputs.items()):
        by_offset = {record.offset: record for record in records}
        right = oracle.run(map(plain, records), **limits)
        assert_same(
            f"outputs of partition {partition}",
            [(each.key, each.value, each.timestamp) for each in outputs.get(partition, [])],
            [(each.key, each.value, by_offset[each.offset].timestamp) for each in right.outputs],
        )
        found = letters.pop(partition, [])
        assert_same(
            f"dead letters of partition {partition}",
            [letter_of(each) for each in found],
            [
                right_letter(topic, by_offset[each.offset], each.reason)
                for each in right.dead_letters
            ],
        )
        assert {each.partition for each in found} <= {partition % len(dead_letters)}
        assert len(right.outputs) + len(found) == len(records)
        reasons.update(each.reason for each in right.dead_letters)
        count += len(right.outputs)
    assert not any(outputs[each] for each in outputs.keys() - inputs.keys())
    assert not letters, "dead letters of no input's partition"
    return Judged(reasons, count, inputs, outputs)


def letter_of(letter: Any) -> tuple[Any, ...]:
    """What is compared of a dead letter; its detail is any text."""
    headers = headers_of(letter)
    assert 1 <= len(headers.pop("detail")) <= 500
    return letter.key, letter.value, tuple(sorted(headers.items()))


def right_letter(topic: str, record: Any, reason: str) -> tuple[Any, ...]:
    value = record.value or b""
    headers = {
        "reason": reason,
        "topic": topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "timestamp": str(record.timestamp),
        "value_bytes": str(len(value)),
    }
    key = None if record.key is None else record.key[:1024]
    return key, value[: 64 * 1024], tuple(sorted(headers.items()))


def plain(record: Any) -> oracle.Record:
    return oracle.Record(record.offset, record.timestamp, record.key, record.value)


def headers_of(record: Any) -> dict[str, str]:
    found = {name: value.decode() for name, value in record.headers}
    assert len(found) == len(record.headers)
    return found


def assert_same(what: str, found: list[Any], right: list[Any]) -> None:
    """With the first difference, as the whole would be too long to read."""
    for place, (mine, theirs) in enumerate(zip(found, right, strict=False)):
        assert mine == theirs, f"{what}, number {place}: {mine} instead of {theirs}"
    lost = Counter(map(repr, right)) - Counter(map(repr, found))
    doubled = Counter(map(repr, found)) - Counter(map(repr, right))
    assert len(found) == len(right), (
        f"{what}: {len(found)} instead of {len(right)}; missing {list(lost)[:3]},"
        f" too many {list(doubled)[:3]}"
    )
