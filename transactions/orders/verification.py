"""Whether the user of an order is who he says: asked of a verifier, or simulated (specification,
step 5). Called by the consumer `orders`, thousands at once in one event loop.
"""

import asyncio
import json
import logging
import random
import re
import time
import unicodedata
from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn, Self
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from transactions.models import Reason

from .verification_connection import Answer, Failed, place, room_for
from .verification_http import Service

logger = logging.getLogger(__name__)

REASON_CHARACTERS = 200  # kept of what the verifier says
LEFT_OUT = {"Cc", "Cs"}  # control characters, and halves of characters, which no database keeps
SAID_EVERY_SECONDS = 10.0  # a verifier that is away is no line in the log for each order


@dataclass(frozen=True)
class Outcome:
    """`reason` is a Reason, "" where verified; `detail` says more in words, for the client."""

    verified: bool
    reason: str = ""
    detail: str = ""


def refused(detail: str) -> Outcome:
    """The verifier has said no."""
    return Outcome(False, Reason.VERIFICATION_REFUSED.value, detail)


def failed(detail: str) -> Outcome:
    """It has not said anything that could be understood."""
    return Outcome(False, Reason.VERIFICATION_FAILED.value, detail)


def stalled(seconds: float) -> Outcome:
    """It has not said anything for `seconds`."""
    return Outcome(False, Reason.VERIFICATION_STALLED.value, f"No answer within {seconds:g} s.")


class Verifier(ABC):
    """Verifies any number of orders at once, each within `timeout_seconds`."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds

    @staticmethod
    def from_settings() -> "Verifier":
        """Raises ImproperlyConfigured where VERIFIER_URL or VERIFIER_TOKEN can't be used."""
        if not settings.VERIFIER_URL:
            return Simulation(
                settings.VERIFIER_MIN_SECONDS,
                settings.VERIFIER_MAX_SECONDS,
                settings.VERIFIER_TIMEOUT_SECONDS,
            )
        return AskedVerifier(
            settings.VERIFIER_URL, settings.VERIFIER_TOKEN, settings.VERIFIER_TIMEOUT_SECONDS
        )

    async def __aenter__(self) -> Self:
        return self

    @abstractmethod
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def room(self, wanted: int) -> int:
        """How many of `wanted` orders this process can verify at once. To be asked at its start."""
        return wanted

    async def verify(self, user: str, order_id: UUID) -> Outcome:
        """Whether `user` may buy. Raises nothing but CancelledError; then nothing of it is left."""
        try:
            return await self._outcome(user, order_id)
        except Exception:
            logger.exception("order %s: its verification failed here", order_id)
            return failed("Stockroom itself failed.")

    @abstractmethod
    async def _outcome(self, user: str, order_id: UUID) -> Outcome: ...


class Simulation(Verifier):
    """Specification, step 5: `time.sleep(random.randint(1,100))`, and who returns is verified."""

    def __init__(self, min_seconds: float, max_seconds: float, timeout_seconds: float) -> None:
        super().__init__(timeout_seconds)
        self._range = min_seconds, max_seconds

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is left to close."""

    async def _outcome(self, user: str, order_id: UUID) -> Outcome:
        seconds = self._seconds()
        await asyncio.sleep(min(seconds, self._timeout_seconds))
        # "We will consider any duration over 60 second as stalled": just 60 is none.
        return stalled(self._timeout_seconds) if seconds > self._timeout_seconds else Outcome(True)

    def _seconds(self) -> float:
        lowest, highest = map(float, self._range)
        if lowest.is_integer() and highest.is_integer():
            return random.randint(int(lowest), int(highest))
        return random.uniform(lowest, highest)


class AskedVerifier(Verifier):
    """Asks the operator's service (docs/buystock.md).

    POST `{"user", "order_id"}`, answered with 200 and `{"verified": true | false, "reason": text}`.
    """

    def __init__(self, url: str, token: str, timeout_seconds: float) -> None:
        """Raises ImproperlyConfigured."""
        super().__init__(timeout_seconds)
        if token and not re.fullmatch(r"[!-~]+", token):
            raise ImproperlyConfigured("VERIFIER_TOKEN has a blank or a character outside ASCII.")
        try:
            self._service = Service(place(url), token)
        except ValueError as error:
            raise ImproperlyConfigured(f"VERIFIER_URL {error}.") from None
        self._token = token
        self._starting = asyncio.Lock()
        self._said_at = float("-inf")
        self._failures = 0  # since then

    async def __aenter__(self) -> Self:
        await self._service.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._service.__aexit__(kind, error, trace)

    def room(self, wanted: int) -> int:
        return room_for(wanted)

    async def _outcome(self, user: str, order_id: UUID) -> Outcome:
        document = json.dumps({"user": user, "order_id": str(order_id)}).encode()
        # One in each round of the loop: thousands that begin at once would keep it from all else.
        async with self._starting:
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self._timeout_seconds) as limit:
                answer = await self._service.post(document)
        except Exception as error:
            if limit.expired():
                return self._noted(order_id, stalled(self._timeout_seconds))
            if isinstance(error, Failed):
                return self._noted(order_id, failed(str(error)), error.__cause__)
            raise
        outcome = outcome_of(answer, self._token)
        if outcome.reason == Reason.VERIFICATION_FAILED:
            return self._noted(order_id, outcome)
        return outcome

    def _noted(
        self, order_id: UUID, outcome: Outcome, cause: BaseException | None = None
    ) -> Outcome:
        self._failures += 1
        now = time.monotonic()
        if now - self._said_at >= SAID_EVERY_SECONDS:
            words = f"{outcome.detail} ({cause!r})." if cause is not None else outcome.detail
            logger.warning(
                "order %s: %s Such verifications since the last line: %d",
                *(order_id, words, self._failures),
            )
            self._said_at, self._failures = now, 0
        return outcome


def outcome_of(answer: Answer, token: str = "") -> Outcome:
    """What the verifier's answer says. Its reason is kept in part, without `token`."""
    if answer.status != 200:
        return failed(f"The verifier answered with status {answer.status}.")
    try:
        found = json.loads(
            answer.body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_constant
        )
    except (ValueError, RecursionError):
        return failed("The verifier's answer is not JSON.")
    verified = found.get("verified") if isinstance(found, dict) else None
    reason = found.get("reason") if isinstance(found, dict) else None
    if not isinstance(verified, bool) or not (reason is None or isinstance(reason, str)):
        return failed('The verifier\'s answer is not {"verified": true or false}.')
    return Outcome(True) if verified else refused(_cleaned(reason or "", token))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two answers in one are none. Raises ValueError."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _cleaned(text: str, token: str) -> str:
    words = " ".join(text.split())
    kept = "".join(each for each in words if unicodedata.category(each) not in LEFT_OUT)
    if token:
        kept = kept.replace(token, "…")
    return kept if len(kept) <= REASON_CHARACTERS else f"{kept[: REASON_CHARACTERS - 1]}…"
