"""Balances from scratch, as `manage.py reconcile_ledger` makes them. Changes nothing."""

from datetime import timedelta
from typing import Any

import psycopg2
from django.urls import reverse
from django.utils import timezone

from config.checks.findings import NotChecked, Outcome, counted
from config.checks.watch import Watch
from transactions.ledger import queries, reading, reconciliation
from transactions.ledger.engine.tables import Missing, Unready

REPAIR = "`manage.py reconcile_ledger --repair` puts the sums made from scratch in their place."
KEYDB = "It is written again at the next full minute; if not, docs/ledger.md says what to do."
NO_KEYDB, NO_MINUTE = "KeyDB was not compared: ", "no minute has been written yet."  # notes
RANGES = {
    "lost_ids": "free ids at which nobody looks: a transaction there would be in no balance",
    "double_ids": "ids of transactions would be added up twice",
}


def run(watch: Watch) -> Outcome:
    """Raises NotChecked."""
    last = _last(watch.reuse_seconds) if watch.reuse_seconds else None
    if last is not None:
        outcome = judge(last.drift, last.drifts, last.transactions)
        outcome.summary += f" Compared at {last.at:%H:%M} UTC, by the nightly reconciliation."
        return outcome
    watch.say("Adding up all transactions")
    try:
        report = reconciliation.run(until=watch.deadline()).report
    except Missing as error:
        if reading.ask(_was_in_use):
            raise NotChecked(f"The ledger can't be compared: {error}") from None
        return Outcome(summary=f"There is no ledger here: {error}.")
    except Unready as error:
        raise NotChecked(f"The ledger can't be compared: {error}") from None
    except psycopg2.errors.QueryCanceled:
        raise watch.too_long() from None
    except psycopg2.Error as error:
        raise NotChecked(f"PostgreSQL: {str(error).strip()}") from error
    return judge(report.json(), report.drifts, report.transactions, report.providers)


def judge(
    found: dict[str, Any], drifts: int, transactions: int, providers: int | None = None
) -> Outcome:
    """What a report says, as drift.Report.json() keeps it. Raises NotChecked."""
    outcome = Outcome(looked_at=transactions + (providers or 0))
    url = reverse("transactions:ledger")
    for each in found.get("totals", ()):
        outcome.add(
            f"balance {each['key']}",
            f"{each['kept']} by running totals of {counted(each['kept_transactions'], 'row')},"
            f" {each['right']} from scratch of {each['right_transactions']:,}",
            REPAIR,
            url,
        )
    for each in found.get("keydb", ()):
        there = "is missing" if each["found"] is None else f"is {each['found'][:100]}"
        outcome.add(f"KeyDB key {each['key']}", f"{there}, should be {each['right']}", KEYDB, url)
    for name, words in RANGES.items():
        if found.get(name):
            outcome.add("ids of transactions", f"{found[name]:,} {words}", REPAIR, url)
    outcome.found = max(outcome.found, drifts)  # more than are kept one by one
    notes = found.get("notes", ())
    of = f" of {counted(providers, 'provider')}" if providers is not None else ""
    said = f"{counted(transactions, 'transaction')}{of} added up."
    outcome.summary = " ".join([said if outcome.looked_at else "There is nothing yet.", *notes])
    away = [note for note in notes if note.startswith(NO_KEYDB) and not note.endswith(NO_MINUTE)]
    if away and not outcome.found:
        raise NotChecked(f"{outcome.summary} PostgreSQL has no drift.")
    return outcome


def _was_in_use(cursor: Any) -> bool:
    """Whether balances of any minute are kept."""
    return "runs" in queries.ours(cursor) and queries.first_run(cursor) is not None


def _last(seconds: float) -> queries.Reconciliation | None:
    """What another comparison has found not longer ago, None where there is none."""

    def ask(cursor: Any) -> queries.Reconciliation | None:
        there = "reconciliations" in queries.ours(cursor)
        return queries.reconciliation(cursor) if there else None

    try:
        last = reading.ask(ask)
    except reading.Away:
        return None
    if last is None or last.failure or last.repaired:
        return None
    return last if timezone.now() - last.at < timedelta(seconds=seconds) else None
