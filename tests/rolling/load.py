"""What goes on while processes are ended: imports, edits, sales, orders, messages, page views.

Each load runs in a thread of its own from the beginning of its `with` to its end, and remembers
what it was told to be done: `reckoning.py` compares.
"""

import io
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self

import requests

from bench.sample_csv import write_sample
from tests.products.imports import import_oracle
from tests.products.imports.import_oracle import Expected, Stored
from tests.rolling.whole import WholeStockroom
from tests.services.waiting import until
from tests.soak.test_import_soak import send
from tests.streaming.sales.chaos import Feeder, stream
from tests.transactions.ledger.stage import body
from tests.transactions.orders.stage import set_credit, set_price
from tests.webhooks.receiver import slow, status
from tests.webhooks.traffic import Watched, edit, products, watching

SECONDS = 180.0  # for anything that has to happen
CUT = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)
AWAY = {502, 503, 504}
SEED = 20261122
SALES_PER_SECOND = 50.0
STOCK = "stock1"
PRICE = 7
# The last can't pay for many orders: some have to be denied.
CREDITS = {"user1": 10**9, "user2": 10**9, "user3": 10**9, "user4": 2_000}


class Load:
    """Repeats `step` until the block ends; what `step` raises is raised there."""

    def __init__(self, stockroom: WholeStockroom, every_seconds: float = 0.0) -> None:
        """`every_seconds` is between two steps."""
        self.stockroom = stockroom
        self.done = 0
        self._every_seconds = every_seconds
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=type(self).__name__)

    def step(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()
        if kind is None and self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.step()
                self.done += 1
                self._stopping.wait(self._every_seconds)
        except BaseException as error:
            self._failure = error


def repeated(stockroom: WholeStockroom, method: str, path: str, **options: Any) -> Any:
    """The answer to a request that may be sent again, however often it is cut or answered 503."""

    def ask() -> Any:
        try:
            return [stockroom.request(method, path, **options).json()]
        except CUT:
            return None
        except requests.HTTPError as error:
            # 409: the one before, which was cut, is under way still.
            if error.response.status_code in AWAY | {409}:
                return None
            raise AssertionError(f"{error}: {error.response.text}") from error

    return until(ask, SECONDS)[0]


class Imports(Load):
    """One import after the other, each of a file that differs from the one before."""

    def __init__(self, stockroom: WholeStockroom, rows: int) -> None:
        super().__init__(stockroom)
        self.products: dict[str, Stored] = {}
        self.expected: dict[int, Expected] = {}
        """By the import's id."""
        self._rows = rows

    def step(self) -> None:
        file = io.BytesIO()
        changed = 0.2 if self.done % 2 else 0.0
        write_sample(file, self._rows, seed=1, changed_fraction=changed, rejects=20)
        data = file.getvalue()
        job_id, address = until(lambda: self._created(len(data)), SECONDS)
        send(self.stockroom, address, data)
        self.stockroom.end(job_id, SECONDS)
        self.expected[job_id] = import_oracle.expect(data, self.products)
        self.products = self.expected[job_id].products

    def _created(self, size: int) -> tuple[int, str] | None:
        # Where the answer is lost an upload is left over that nobody sends.
        try:
            return self.stockroom.create(size)
        except CUT:
            return None
        except requests.HTTPError as error:
            assert error.response.status_code in AWAY, error.response.text
            return None


class Edits(Load):
    """Renames, each of which is one event; `done` counts steps of STEP edits."""

    STEP = 20

    def __init__(self, stockroom: WholeStockroom, ids: list[int], per_second: float) -> None:
        super().__init__(stockroom)
        self._ids = ids
        self._per_second = per_second

    def step(self) -> None:
        numbers = range(self.done * self.STEP, (self.done + 1) * self.STEP)
        edit(self.stockroom, self._ids, numbers, self._per_second)


class Orders(Load):
    """Orders through the API, each with a key by which it may be sent again."""

    def __init__(self, stockroom: WholeStockroom, per_second: float) -> None:
        super().__init__(stockroom, 1 / per_second)
        self.placed: list[str] = []
        """Their ids, as answered."""
        set_price(stockroom.market, STOCK, PRICE)
        for user, credit in CREDITS.items():
            set_credit(stockroom.market, user, credit)

    def step(self) -> None:
        user = list(CREDITS)[self.done % len(CREDITS)]
        answer = repeated(
            self.stockroom,
            "POST",
            "/api/BuyStock",
            json={"user": user, "stockname": STOCK, "quantity": 1 + self.done % 50},
            headers={"Idempotency-Key": f"rolling-{self.done}"},
        )
        self.placed.append(answer["order_id"])


class Messages(Load):
    """Transactions of two providers, their number as their value; half of them with an id."""

    BATCH = 10

    def __init__(self, stockroom: WholeStockroom, per_second: float) -> None:
        super().__init__(stockroom, self.BATCH / per_second)
        self.providers = [
            pk for (pk,) in stockroom.query("SELECT id FROM initial_data ORDER BY id")
        ]
        self.sent = 0

    def step(self) -> None:
        numbers = range(self.sent, self.sent + self.BATCH)
        bodies = [body(self.providers[n % len(self.providers)], n) for n in numbers]
        ids = [f"rolling-{n}" if n % 4 < 2 else None for n in numbers]
        self.stockroom.queue.send(*bodies, ids=ids)
        self.sent = numbers.stop


class Views(Load):
    """Requests that nobody repeats: how each ended. New connections, as of many people."""

    def __init__(self, stockroom: WholeStockroom, per_second: float = 20.0) -> None:
        super().__init__(stockroom, 1 / per_second)
        self.answers: Counter[str] = Counter()

    def step(self) -> None:
        try:
            self.stockroom.request("GET", "/api/products/")
        except requests.HTTPError as error:
            self.answers[str(error.response.status_code)] += 1
        except CUT as error:
            self.answers[repr(error)] += 1
        else:
            self.answers["ok"] += 1


class Everything:
    """All loads together; `end` before the reckoning."""

    def __init__(self, stockroom: WholeStockroom, watched: list[Watched], import_rows: int) -> None:
        ids = [pk for (pk,) in stockroom.query("SELECT id FROM products_product ORDER BY id")]
        self.watched = watched
        self.imports = Imports(stockroom, import_rows)
        self.edits = Edits(stockroom, ids, 10)
        self.orders = Orders(stockroom, 5)
        self.messages = Messages(stockroom, 50)
        self.views = Views(stockroom)
        self.repeated: list[Load] = [
            self.imports,
            self.edits,
            self.orders,
            self.messages,
            self.views,
        ]
        self._feeder = Feeder(stockroom.sales, stream(SEED), rate=SALES_PER_SECOND)
        self._loads = ExitStack()
        self._waiting = threading.Event()

    def start(self) -> None:
        for load in self.repeated:
            self._loads.enter_context(load)
        self._feeder.start()
        self._loads.callback(self._feeder.stop)

    def wait(self, seconds: float) -> None:
        """Let it go on for a while."""
        self._waiting.wait(seconds)

    def end(self) -> None:
        """No more is asked for after this. Raises what went wrong in a load."""
        self._loads.close()


@contextmanager
def everything(stockroom: WholeStockroom, import_rows: int) -> Iterator[Everything]:
    """All of it goes on until `end` or the end of the block; two receivers listen until that."""
    products(stockroom)
    with watching(stockroom, {"quick": status(200), "slow": slow(0.1)}) as watched:
        load = Everything(stockroom, list(watched.values()), import_rows)
        load.start()
        try:
            yield load
        finally:
            load.end()
