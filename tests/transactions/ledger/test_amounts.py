"""transactions.ledger.engine.amounts: amounts as KeyDB shows them."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transactions.ledger import oracle
from transactions.ledger.engine import amounts


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1300", "1300"),
        ("1900", "1900"),
        ("-200", "-200"),
        ("0", "0"),
        ("-0", "0"),
        ("0.000", "0"),
        ("-0.00", "0"),
        ("0E+5", "0"),
        ("0E-5", "0"),
        ("1E+3", "1000"),
        ("1.50", "1.5"),
        ("100", "100"),
        ("100.00", "100"),
        ("-0.10", "-0.1"),
        ("1E-7", "0.0000001"),
        ("12345678901234567890123456789012345678901.5", None),
        ("9" * 100 + "." + "1" * 100, None),
    ],
)
def test_it_shows_all_digits_and_no_more(amount: str, text: str | None) -> None:
    assert amounts.text(Decimal(amount)) == (amount if text is None else text)


@given(st.integers(-(10**40), 10**40), st.integers(-60, 60))
def test_it_says_what_the_specification_does(digits: int, exponent: int) -> None:
    amount = Decimal((int(digits < 0), tuple(map(int, str(abs(digits)))), exponent))

    assert amounts.text(amount) == oracle.shown(Fraction(amount))
