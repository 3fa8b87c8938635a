"""An order placed by hand: its form, and what it would cost now."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

import redis
from django import forms

from config.trading_users import USER
from streaming.prices import latest
from transactions.ledger.words import amount

from . import credit, market
from .reception import MOST_QUANTITY

STOCKS = 300  # offered; others are for the API
# Those of the specification are offered too where somebody has set them by hand (redis-cli).
SAMPLE = ("stock1", "stock2", "stock3")
QUANTITY_CHARACTERS = 24
USER_CHARACTERS = 64
PLAIN = {"class": "field", "autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}


@dataclass(frozen=True)
class Stock:
    """A stock that is offered; `price` is None where it has none, or none that can be read."""

    name: str
    price: Decimal | None

    @property
    def said(self) -> str:
        """ "stock1 · 1,740"."""
        return f"{self.name} · {'no price' if self.price is None else amount(self.price)}"


@dataclass(frozen=True)
class Cost:
    """What an order would cost now. `problem` says why that is not known, for people."""

    problem: str = ""
    user: str = ""
    stockname: str = ""
    quantity: int = 0
    price: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)
    credit: Decimal | None = None  # None where nobody is named yet
    left: Decimal = Decimal(0)  # below 0: so much is missing


class TrialOrder(forms.Form):
    """User, stock and quantity. What is there and what can be paid is reception's to say."""

    user = forms.CharField(
        label="User",
        max_length=USER_CHARACTERS,
        error_messages={"required": "Name a user, for example user1."},
        widget=forms.TextInput({**PLAIN, "list": "users", "placeholder": "user1"}),
    )
    stockname = forms.CharField(
        label="Stock",
        max_length=USER_CHARACTERS,
        error_messages={"required": "Choose a stock."},
        widget=forms.Select({"class": "field"}),
    )
    quantity = forms.CharField(
        label="Quantity",
        max_length=QUANTITY_CHARACTERS,
        error_messages={"required": "Say how many."},
        widget=forms.TextInput({**PLAIN, "inputmode": "numeric"}),
    )

    def __init__(self, stocks: list[Stock], data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial={"quantity": "1"}, prefix=None)
        offered = [(each.name, each.said) for each in stocks]
        given = (data or {}).get("stockname", "")
        if given and given not in dict(offered):
            offered.append((given, given))
        self.fields["stockname"].widget.choices = offered

    def clean_user(self) -> str:
        return checked_user(self.cleaned_data["user"])

    def clean_stockname(self) -> str:
        name = latest.stock_name(self.cleaned_data["stockname"])
        if name is None:
            raise forms.ValidationError("No stock can have this name.")
        return name

    def clean_quantity(self) -> int:
        return checked_quantity(self.cleaned_data["quantity"])


def checked_user(text: str) -> str:
    """A name that a user can have. Raises ValidationError."""
    if not USER.fullmatch(text):
        raise forms.ValidationError(
            "A user is “user”, a digit, and more small letters or digits: user1."
        )
    return text


def checked_quantity(text: str) -> int:
    """ "1,000" is 1000. Raises ValidationError."""
    digits = text.strip().replace(",", "").replace(" ", "")
    if not (digits.isascii() and digits.isdigit()):
        raise forms.ValidationError("A whole number, without decimals.")
    if not 1 <= int(digits) <= MOST_QUANTITY:
        raise forms.ValidationError(f"From 1 to {MOST_QUANTITY:,}.")
    return int(digits)


def stocks(client: redis.Redis) -> list[Stock]:
    """The first STOCKS with their newest prices. Raises redis.RedisError."""
    prices = latest.latest(client, [*latest.names(client, STOCKS), *SAMPLE])
    return [Stock(name, _price(written)) for name, written in prices.items()]


def cost(client: redis.Redis, user: str, stockname: str, quantity: str) -> Cost:
    """What that order would cost, from what is in the form's fields. Raises redis.RedisError."""
    try:
        number = checked_quantity(quantity)
        name = latest.stock_name(stockname)
        who = checked_user(user) if user else ""
    except forms.ValidationError as error:
        return Cost(problem=" ".join(error.messages))
    if name is None:
        return Cost(problem="Choose a stock.")
    found = market.read(client, [who] if who else [], [name])
    try:
        price = found.price(name)
        purse = found.accounts[who].purse() if who else None
    except credit.Unreadable as error:
        return Cost(problem=f"What it costs can't be said: {error}.")
    if price is None:
        return Cost(problem=f"{name} has no price yet.")
    total = market.amount(price, number)
    known = Cost("", who, name, number, price, total)
    if not who:
        return known
    if purse is None:
        return Cost(f"There is no user {who}.", who, name, number, price, total)
    with localcontext(prec=market.PRECISION):
        left = purse.credit - total
    return Cost("", who, name, number, price, total, purse.credit, left)


def _price(written: str) -> Decimal | None:
    try:
        return credit.number(written) if written else None
    except credit.Unreadable:
        return None
