"""Generated histories: counts, largest sums, curves and halts are what the oracle says."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from streaming.sales.partition import PartitionState, amount_text
from tests.streaming.sales import oracle
from tests.streaming.sales.against_oracle import EXAMPLES, SPEC, expected, taken, with_offsets
from tests.streaming.sales.histories import histories, message
from tests.streaming.sales.oracle import DeadLetter, Record


@EXAMPLES
@given(st.integers(-(2**70), 2**70))
def test_the_text_of_an_amount_is_the_exact_decimal(units: int) -> None:
    assert amount_text(units) == oracle.plain(Decimal(units).scaleb(-6))


@EXAMPLES
@given(histories())
def test_the_counts_add_up(records: list[Record]) -> None:
    state = PartitionState(SPEC)
    assert (state.next_offset, state.watermark) == (None, None)
    state.take(records)
    outcome = oracle.run(records)
    assert state.accepted == len(outcome.outputs)
    assert state.refused == len(outcome.dead_letters)
    assert state.watermark == outcome.watermark
    kept = [
        sale
        for sale in outcome.accepted
        if outcome.watermark is not None and sale.time >= outcome.watermark - 600.0 - 600.0
    ]
    assert state.events >= len(kept)
    assert state.keys >= len({sale.stock_code for sale in kept})


@EXAMPLES
@given(histories())
def test_the_tops_and_curves_are_sums_of_the_last_window(records: list[Record]) -> None:
    state = PartitionState(SPEC)
    state.take(records)
    outcome = oracle.run(records)
    if outcome.watermark is None:
        assert state.top(5) == []
        return
    begin = outcome.watermark - 600.0
    right = {}
    for sale in outcome.accepted:
        if sale.time >= begin:
            sum_, count, last = right.get(sale.stock_code, (Decimal(0), 0, sale.time))
            right[sale.stock_code] = (sum_ + sale.amount, count + 1, max(last, sale.time))
    found = state.top(100)
    sums = [selling[1] for selling in found]
    assert sums == sorted(sums, reverse=True)
    assert {
        code: (Decimal(units).scaleb(-6), sales, last) for code, units, sales, last in found
    } == right
    assert [selling[1] for selling in state.top(2)] == sums[:2]
    for code in right:
        curve = state.curve(code, 7)
        assert len(curve) == 7
        for instant, units in curve:
            total = sum(
                (
                    sale.amount
                    for sale in outcome.accepted
                    if sale.stock_code == code and instant - 600.0 <= sale.time <= instant
                ),
                Decimal(0),
            )
            assert Decimal(units).scaleb(-6) == total
    assert state.curve("unknown", 7) == []


@EXAMPLES
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["1", "2", "3", "nonsense", "jump"]),
            st.sampled_from([b"a"] * 6 + [b"b", None]),
            st.integers(0, 500),
        ),
        max_size=25,
    ),
    st.integers(1, 7),
)
def test_a_partition_halts_at_the_first_key_that_would_split_a_sum(
    sales: list[tuple[str, bytes | None, int]], size: int
) -> None:
    """Keys count for as long as the StockCode's sales are kept; dead letters have none."""
    records: list[Record] = []
    right: tuple[int, str] | None = None
    keys: dict[str, bytes] = {}
    now = 10_000
    for offset, (code, key, back) in enumerate(sales):
        value = message(f'"{code}"', time=str(now - back))
        if code == "nonsense":
            value = b"nonsense"
        elif code == "jump":  # all that was is older than window and lateness
            now += 5_000
            keys.clear()
            value, key = message('"clock"', time=str(now)), b"clock"
        elif right is None and key is None:
            right = (offset, "no_key")
        elif right is None and keys.setdefault(code, key) != key:
            right = (offset, "two_keys")
        records.append(Record(offset, -1, key, value))

    state = PartitionState(SPEC, check_keys=True)
    found: list[oracle.Output | DeadLetter] = []
    for start in range(0, len(records), size):
        piece = records[start : start + size]
        outcomes, halt = state.take(piece)
        found += with_offsets(piece[: len(outcomes)], outcomes)
        if halt is not None:
            assert (halt.offset, halt.reason) == right
            assert halt.detail
            again, same = state.take(records[halt.offset :])
            assert (again, same) == ([], halt)
            break
    else:
        assert right is None
    taken_over = records if right is None else records[: right[0]]
    assert found == expected(taken_over, SPEC)
    # A replay never halts, and neither does who accepts the keys.
    PartitionState(SPEC, check_keys=True).absorb(records)
    assert taken(records, SPEC, [len(records)], [False]) == expected(records, SPEC)
