"""What is wrong with the work itself: queues, jobs, deliveries, minutes, orders, rejects, checks.

Pure.

problems.py collects it.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from . import words
from .limits import Limits
from .problem import Problem
from .sections import Sample, facts, rows

QUEUES_URL = "/operations/#queues-title"
DELIVERIES_URL = "/webhooks/deliveries/"
LEDGER_URL = "/transactions/ledger/"
PRICES_URL = "/streaming/prices/"
ORDERS_URL = "/transactions/orders/"
RETENTION_URL = "/operations/#retention-title"
UNCHECKED_SECONDS = 2 * 24 * 3600.0  # two nights in vain
RETENTION_SECONDS = 3600.0  # six turns
READERS = {  # of the workers' queues
    "default": "a process of `worker`",
    "imports": "a process of `worker`",
    "performance": "a process of `performance`",
}


def queues(sample: Sample, limits: Limits) -> Iterator[Problem]:
    for each in rows(sample, "queues"):
        name, waiting, oldest = each["name"], each.get("waiting"), each.get("oldest_seconds")
        reader = READERS.get(name, "what reads it")
        wait = f"{words.many(waiting, 'message waits', 'messages wait')}" if waiting else ""
        if waiting and each.get("consumers") == 0:
            yield Problem(
                f"queue:{name}:unread",
                "critical",
                f"Nobody reads the queue {name}: {wait}",
                "See below which consumer does not run, and start it.",
                QUEUES_URL,
            )
        elif oldest is not None and oldest > limits.queue_age_seconds:
            yield Problem(
                f"queue:{name}:age",
                "critical",
                f"The queue {name} is held up: its oldest message waits for"
                f" {words.duration(oldest)}",
                f"Look whether {reader} runs. If all of them are busy, start one more.",
                QUEUES_URL,
            )
        elif waiting and waiting > limits.lag:
            yield Problem(
                f"queue:{name}:lag",
                "warning",
                f"In the queue {name} {wait}",
                "If that does not get less, start one more process that reads it.",
                QUEUES_URL,
            )


def jobs(sample: Sample, limits: Limits) -> Iterator[Problem]:
    for each in rows(sample, "jobs"):
        if each.get("stalled"):
            kind = str(each["kind"])
            yield Problem(
                f"job:{kind.replace(' ', '-')}:{each['id']}:stalled",
                "critical",
                f"The {kind} {each['id']} stands still: {each['name']}",
                "A worker takes it up again by itself at the next sweep. If not, look whether"
                " `worker` and `beat` run.",
                each.get("url") or "",
            )


def deliveries(sample: Sample, limits: Limits) -> Iterator[Problem]:
    found = facts(sample, "deliveries")
    oldest = found.get("oldest_due_seconds")
    if oldest is not None and oldest > limits.delivery_age_seconds:
        due = found.get("due") or 0
        yield Problem(
            "deliveries:late",
            "critical",
            f"Webhooks are late: {words.many(due, 'is', 'are')} due, the oldest for"
            f" {words.duration(oldest)}",
            "Look whether the consumer deliveries runs. If it does, one more process of it sends"
            " more at once.",
            DELIVERIES_URL,
        )
    for each in found.get("disabled_endpoints") or ():
        # Without a reason somebody did it, and knows.
        if each.get("reason"):
            yield Problem(
                f"endpoint:{each['id']}:disabled",
                "critical",
                f"The webhook endpoint {each['id']} was disabled: {_host(each['url'])}",
                f"{_sentence(each['reason'])} Nothing is sent to it. Enable it once it answers"
                " again, or delete it.",
                _endpoint(each["id"]),
            )
    for each in found.get("failing_endpoints") or ():
        times = words.many(each["failures"], "time")
        yield Problem(
            f"endpoint:{each['id']}:failing",
            "warning",
            f"The webhook endpoint {each['id']} has failed {times} in a row: {_host(each['url'])}",
            "Its page shows what it answers. Deliveries are tried again for a day or more.",
            _endpoint(each["id"]),
        )


def rollup(sample: Sample, limits: Limits) -> Iterator[Problem]:
    found = facts(sample, "rollup")
    minute = found.get("minute")
    of = f" of {words.clock(minute)}" if minute is not None else ""
    late = found.get("lateness_seconds")
    if found.get("missed"):
        last = f"; the last are those{of}" if of else ""
        yield Problem(
            "rollup:missed",
            "critical",
            f"The ledger's balances were not written at the last full minute{last}",
            "Look whether the consumer ledger runs and what it waits for. The next full minute has"
            " all that has come since.",
            LEDGER_URL,
        )
    if found.get("failure"):
        yield Problem(
            "rollup:failed",
            "critical",
            f"Writing the ledger's balances{of} failed: {found['failure']}",
            "It is tried again at the next full minute, with all that has come since.",
            LEDGER_URL,
        )
    elif late is not None and late > limits.lateness_seconds:
        yield Problem(
            "rollup:late",
            "warning",
            f"The ledger's balances{of} came {words.duration(late)} late",
            "The ledger's page shows each minute. Look whether PostgreSQL, KeyDB or this machine"
            " is busy.",
            LEDGER_URL,
        )


def performance(sample: Sample, limits: Limits) -> Iterator[Problem]:
    found = facts(sample, "performance")
    if found.get("missed"):
        yield Problem(
            "performance:missed",
            "critical",
            "No metric of prices was calculated in the last minute",
            "Look whether `beat` and `performance` run, and whether Redis answers.",
            PRICES_URL,
        )
    failed = found.get("failed")
    if failed:
        yield Problem(
            "performance:failed",
            "warning",
            f"{words.many(failed, 'metric')} of prices could not be calculated",
            "The page of prices names the stocks and says why.",
            PRICES_URL,
        )


def orders(sample: Sample, limits: Limits) -> Iterator[Problem]:
    found = facts(sample, "orders")
    count, most = found.get("open") or 0, found.get("limit") or 0
    oldest = found.get("oldest_seconds")
    if oldest is not None and oldest > limits.order_age_seconds:
        yield Problem(
            "orders:late",
            "critical",
            f"Orders are late: {words.many(count, 'is', 'are')} open, the oldest for"
            f" {words.duration(oldest)}",
            "No verification takes that long. Look whether the consumer orders runs and what it"
            " waits for. If it decides others, one more process of it verifies more at once.",
            ORDERS_URL,
        )
    if not most or count < limits.orders_share * most:
        return
    full = count >= most
    yield Problem(
        "orders:limit",
        "critical" if full else "warning",
        f"{words.count(count)} orders are open, {words.count(most)} is the limit",
        ("New orders are refused. " if full else "From the limit on new orders are refused. ")
        + "Look whether the consumer orders runs and its verifications are answered.",
        ORDERS_URL,
    )


def rejects(sample: Sample, limits: Limits) -> Iterator[Problem]:
    for each in rows(sample, "rejects"):
        kind, last_hour = str(each["kind"]), each.get("last_hour") or 0
        if last_hour > limits.rejects_per_hour:
            yield Problem(
                f"rejects:{kind.replace(' ', '-')}",
                "warning",
                f"Many rejects of {kind}: {words.count(last_hour)} in the last hour",
                "Each is kept with its reason. Look at the newest, then tell whoever sends them.",
                each.get("url") or "",
            )


def checks(sample: Sample, limits: Limits) -> Iterator[Problem]:
    """Those whose last run that could look found something, and those that can't look any more."""
    for each in rows(sample, "checks"):
        since = each.get("unknown_since")
        if since is not None and sample["at"] - since > UNCHECKED_SECONDS:
            yield Problem(
                f"check:{each['name']}:unknown",
                "warning",
                f"The check {each['title']} could not look for"
                f" {words.duration(sample['at'] - since)}",
                "So nobody knows what it would find. The page of its last run says why it could"
                " not.",
                each["url"],
            )
        if each["standing"]:
            things = words.many(each["standing"], "thing")
            yield Problem(
                f"check:{each['name']}:failed",
                "critical",
                f"The check {each['title']} found {things} that should not be",
                "Its page says of each where it is and what to do. Then run the check again.",
                each["standing_url"],
            )


def retention(sample: Sample, limits: Limits) -> Iterator[Problem]:
    """What could not be let go of, and that no turn ends any more though beat asks for them."""
    found = facts(sample, "retention")
    at = found.get("at")
    begun = [each["started_at"] for each in rows(sample, "processes") if each["role"] == "beat"]
    # Who has just switched all on again waits for the first turn.
    since = max(at or 0.0, min(begun)) if found and begun else None
    if since is not None and sample["at"] - since > RETENTION_SECONDS:
        title = "What is past its time was not let go of for "
        if at is None:  # Redis may have lost the last one, so nobody knows for how long
            title = "No turn of retention is known to have ended, and beat runs for "
        yield Problem(
            "retention:old",
            "warning",
            title + words.duration(sample["at"] - (since if at is None else at)),
            "That should be done every ten minutes. Look into the log of `worker`, and whether the"
            " queue default gets on. Until then all that is kept for a time takes more room.",
            RETENTION_URL,
        )
    for each in found.get("purges") or ():
        if each["error"]:
            yield Problem(
                f"retention:{each['name'].replace(' ', '-')}",
                "warning",
                f"Old {each['name']} could not be let go of: {each['error']}",
                "It is tried again every ten minutes, and the log of `worker` has the traceback."
                " Until then they take more and more room.",
                RETENTION_URL,
            )


def _host(url: str) -> str:
    """Titles go to logs and to other receivers, and some addresses are secrets as a whole."""
    return urlsplit(url).hostname or "?"


def _endpoint(number: int) -> str:
    return f"/webhooks/endpoints/{number}/"


def _sentence(text: str) -> str:
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
