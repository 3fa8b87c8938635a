"""REST API of the ledger: balances, one at a minute and over time, runs, rejects, its state."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any, TypeVar

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from config.api_errors import Unavailable
from config.api_input import StrictQuery
from config.api_schema import refused
from config.exact_json import ExactRenderer, Written
from transactions import queue_depth

from . import api_examples, queries, words
from . import rejects as letters
from .api_shapes import (
    AtQuery,
    BalancesQuery,
    HistoryQuery,
    LedgerBalanceSerializer,
    LedgerBalancesSerializer,
    LedgerHistorySerializer,
    LedgerRejectsSerializer,
    LedgerRunsSerializer,
    LedgerStatusSerializer,
    RejectsQuery,
    RunsQuery,
)
from .engine import amounts
from .overview import HOUR, books, is_ready, team
from .queries import Run
from .reading import Away, ask

NO_BALANCE = (
    "No balance of this provider is kept from then or before. `/api/ledger/` lists the providers;"
    " balances are kept for {days:g} days."
)
NO_BALANCE_DOC = "There is no balance of such a provider at that minute or before."
PROVIDER = OpenApiParameter("provider", int, "path", description="Its id in initial_data.")
Found = TypeVar("Found")


class LedgerView(StrictQuery, APIView):
    """What all views of the ledger share."""

    scope_area = "ledger"
    schema_tag = "Ledger"
    renderer_classes = [ExactRenderer]

    def ask(self, query: Callable[[Any], Found]) -> Found:
        """Raises Unavailable where the ledger's database is away or not ready."""

        def look(cursor: Any) -> Found:
            unready = is_ready(cursor)
            if unready:
                raise Unavailable(f"The ledger waits: {unready}.")
            if queries.ours(cursor) != set(queries.OURS):
                raise Unavailable("The ledger waits for its consumer `ledger`, which never ran.")
            return query(cursor)

        return _asked(look)


class Balances(LedgerView):
    """`/api/ledger/`."""

    query_classes = {"GET": BalancesQuery}

    @extend_schema(
        operation_id="ledger_list",
        summary="All providers with their balances",
        description="By id. Follow `next` until it is null.",
        parameters=[BalancesQuery],
        responses=LedgerBalancesSerializer,
        examples=[OpenApiExample("The sample", api_examples.BALANCES, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        after, size = self.query["after"], self.query["page_size"]

        def look(cursor: Any) -> Any:
            newest = queries.newest(cursor) or (None, None)
            return newest, queries.providers(cursor, newest[0], after=after, size=size + 1)

        (minute, written_at), found = self.ask(look)
        more = found[size - 1].id if len(found) > size else None
        answer = {
            "minute": minute,
            "written_at": written_at,
            "next": _next(request, "after", more),
            "results": [_provider(each) for each in found[:size]],
        }
        return Response(LedgerBalancesSerializer(answer).data)


class Provider(LedgerView):
    """`/api/ledger/{provider}/`."""

    query_classes = {"GET": AtQuery}

    @extend_schema(
        operation_id="ledger_retrieve",
        summary="The balance of one provider, now or at a minute",
        description="What KeyDB was to have at `at`: that of the last full minute until then.",
        parameters=[PROVIDER, AtQuery],
        responses={200: LedgerBalanceSerializer, **refused(_404=NO_BALANCE_DOC)},
        examples=[OpenApiExample("Visa", api_examples.BALANCE, response_only=True)],
    )
    def get(self, request: Request, provider: int) -> Response:
        at = self.query.get("at") or timezone.now()

        def look(cursor: Any) -> Any:
            newest = queries.newest(cursor)
            rows = queries.providers(cursor, newest[0] if newest else None, only=provider)
            return rows, queries.balance_at(cursor, provider, at)

        rows, balance = self.ask(look)
        if balance is None:
            raise NotFound(NO_BALANCE.format(days=settings.LEDGER_KEEP_DAYS))
        answer = {
            "provider": provider,
            "key": balance.key,
            "at": at,
            "minute": balance.minute,
            "balance": _number(balance.balance),
            "current": _provider(rows[0]) if rows else None,
        }
        return Response(LedgerBalanceSerializer(answer).data)


class History(LedgerView):
    """`/api/ledger/{provider}/history/`."""

    query_classes = {"GET": HistoryQuery}

    @extend_schema(
        operation_id="ledger_history_list",
        summary="The balances of one provider, minute by minute",
        description=(
            "The oldest first, both ends included. Minutes that were not written are not there."
            " Follow `next` until it is null."
        ),
        parameters=[PROVIDER, HistoryQuery],
        responses=LedgerHistorySerializer,
        examples=[OpenApiExample("Two minutes", api_examples.HISTORY, response_only=True)],
    )
    def get(self, request: Request, provider: int) -> Response:
        size = self.query["page_size"]
        until = self.query.get("to") or timezone.now()
        since = self.query.get("from") or _before(until)
        found = self.ask(lambda cursor: queries.history(cursor, provider, since, until, size + 1))
        more = found[size].minute.isoformat() if len(found) > size else None
        answer = {
            "next": _next(request, "from", more, to=until.isoformat()),
            "results": [
                {"minute": each.minute, "balance": _number(each.balance)} for each in found[:size]
            ],
        }
        return Response(LedgerHistorySerializer(answer).data)


class Runs(LedgerView):
    """`/api/ledger/runs/`."""

    query_classes = {"GET": RunsQuery}

    @extend_schema(
        operation_id="ledger_runs_list",
        summary="Full minutes, how late they were and why they failed",
        description="The newest first. Follow `next` until it is null.",
        parameters=[RunsQuery],
        responses=LedgerRunsSerializer,
        examples=[OpenApiExample("One that failed", api_examples.RUNS, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        size = self.query["page_size"]
        found = self.ask(
            lambda cursor: queries.runs_before(cursor, self.query.get("before"), size + 1)
        )
        more = found[size - 1].minute.isoformat() if len(found) > size else None
        answer = {
            "next": _next(request, "before", more),
            "results": [_run(each) for each in found[:size]],
        }
        return Response(LedgerRunsSerializer(answer).data)


class Rejects(LedgerView):
    """`/api/ledger/rejects/`."""

    query_classes = {"GET": RejectsQuery}

    @extend_schema(
        operation_id="ledger_rejects_list",
        summary="Messages that were refused, the newest first",
        description="Follow `next` until it is null.",
        parameters=[RejectsQuery],
        responses=LedgerRejectsSerializer,
        examples=[OpenApiExample("Not JSON", api_examples.REJECTS, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        query = self.query
        wanted = query.get("before"), query.get("reason", ""), query["page_size"]
        page = self.ask(lambda cursor: letters.page(cursor, *wanted))
        answer = {
            "next": _next(request, "before", page.older),
            "whole": page.whole,
            "results": [{**letters.as_json(each), "rejected_at": each.at} for each in page.rows],
        }
        return Response(LedgerRejectsSerializer(answer).data)


class Status(LedgerView):
    """`/api/ledger/status/`."""

    @extend_schema(
        operation_id="ledger_status_retrieve",
        summary="How the ledger is doing",
        description="Newer about once a second; the channel `ledger` (`/events/ledger/`) tells.",
        responses=LedgerStatusSerializer,
        examples=[OpenApiExample("One instance", api_examples.STATUS, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        now = timezone.now()
        found = _asked(lambda cursor: books(cursor, now, size=0))
        depth, team_now = queue_depth.depth(settings.LEDGER_QUEUE), team().instances
        last = found.reconciliation
        answer = {
            "unready": found.unready or None,
            "leading_since": found.leader and found.leader.since,
            "providers": found.providers,
            "transactions": found.transactions,
            "rejects": found.rejects,
            "last_run": _run(found.last_run) if found.last_run else None,
            "missing_minutes": len(found.lateness(now).wrong),
            "queue": {
                "name": settings.LEDGER_QUEUE,
                "messages": depth.messages,
                "problem": depth.problem or None,
            },
            "instances": team_now,
            "reconciliation": last
            and {**asdict(last), "found": words.drift(last.drift), "failure": last.failure or None},
        }
        return Response(LedgerStatusSerializer(answer).data)


def _asked(query: Callable[[Any], Found]) -> Found:
    try:
        return ask(query)
    except Away as error:
        raise Unavailable(f"The ledger's database can't be read just now: {error}.") from None


def _before(until: Any) -> Any:
    try:
        return until - HOUR
    except OverflowError:
        return until


def _provider(found: queries.Provider) -> dict[str, Any]:
    return {
        "provider": found.id,
        "name": found.name,
        "key": found.key,
        "balance": None if found.balance is None else _number(found.balance),
        "current": _number(found.now),
        "initial": _number(found.initial),
        "transactions": found.transactions,
    }


def _run(found: Run) -> Mapping[str, Any]:
    return {**asdict(found), "failure": found.failure or None}


def _number(amount: Decimal) -> Written | None:
    """JSON has no NaN."""
    return Written(amounts.text(amount)) if amount.is_finite() else None


def _next(request: Request, name: str, value: Any, **others: Any) -> str | None:
    if value is None:
        return None
    address = request.build_absolute_uri()
    for key, text in {**others, name: value}.items():
        address = str(replace_query_param(address, key, text))
    return address
