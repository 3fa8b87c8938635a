"""The same as synchronizer.py with several processes; output, rejects and counts are identical.

    lines ── read in any worker ── who exists, who waits: here, in order ── rules in the worker
    that has the tree ── commands put together in the order of the events

What ids alone decide is one sequential pass (registry.py), so that refusals and waiting events are
those of one process. A tree lives in one worker. Pieces of the file are read ahead, so that all
are busy.
"""

from collections import deque
from concurrent.futures import Future
from itertools import compress, repeat
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .counts import Counts
from .events import CREATED, ENDED, UPDATED, Event, Known, NotAnEvent, Skipped
from .summary import stock_summary
from .synchronizer import Synchronizer, Write
from .trees import Clock, Product, Tree
from .workers import Fields, Worker

PIECES_AHEAD = 2  # for each worker
OUTPUT_CHARACTERS = 1024 * 1024  # that are put together at a time
NOWHERE = -1  # where a product lives that does not exist


class ParallelSynchronizer:
    """As Synchronizer with the clock "tree", without trace and state. Close it, or use `with`."""

    def __init__(
        self, jobs: int, write: Optional[Write] = None, refuse: Optional[Write] = None
    ) -> None:
        self._workers = [Worker() for _ in range(jobs)]
        self._answers = [Answers(worker) for worker in self._workers]
        self._partitions = Partitions(jobs)
        self._router = Synchronizer(refuse=refuse, rules=self._partitions)
        self._pieces = 0
        self._reading: Any = deque()  # of lines, and the answer of the worker that reads them
        self._applying: Any = deque()  # of each piece: the worker of each event, and first answers
        self._output: List[bytes] = []
        self._write: Write = write or self._output.append

    def __enter__(self) -> "ParallelSynchronizer":
        return self

    def __exit__(self, *_: Any) -> None:
        for worker in self._workers:
            worker.close()

    @property
    def counts(self) -> Counts:
        return self._router.counts

    def feed(self, data: bytes) -> None:
        """As Synchronizer.feed; the commands come some pieces later."""
        self._read(self._router.lines.feed(data))
        self._go_on(PIECES_AHEAD * len(self._workers))

    def finish(self) -> None:
        """As Synchronizer.finish."""
        self._read(self._router.lines.finish())
        self._go_on(0)
        self._router.give_up_waiting()
        self.counts.waiting = 0

    def take_output(self) -> bytes:
        """As Synchronizer.take_output."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    def take_rejects(self) -> bytes:
        """As Synchronizer.take_rejects."""
        return self._router.take_rejects()

    def summary(self) -> Iterator[bytes]:
        """As Synchronizer.summary."""
        stocks: Dict[int, int] = {}
        for answer in [worker.ask("stocks") for worker in self._workers]:
            stocks.update(answer.result())
        return stock_summary((each, stocks[each]) for each in self._router.registry.products)

    def _read(self, lines: List[bytes]) -> None:
        if lines:
            worker = self._workers[self._pieces % len(self._workers)]
            self._reading.append((lines, worker.ask("read", lines)))
            self._pieces += 1

    def _go_on(self, ahead: int) -> None:
        """Take the answers that are there, and wait until at most `ahead` pieces are under way."""
        while self._reading and (len(self._reading) > ahead or self._reading[0][1].done()):
            lines, answer = self._reading.popleft()
            self._route(lines, *answer.result())
            self._router.hand_on_rejects()
            self._applying.append(self._partitions.hand_over(self._answers))
        while self._applying and (len(self._applying) > ahead or _all_done(self._applying[0][1])):
            self._put_together(*self._applying.popleft())

    def _route(self, lines: List[bytes], outcomes: List[Any], others: List[int]) -> None:
        """Hand the events of these lines to the workers that have their trees.

        Updates and ends of products that exist are sorted in bulk; everything else, the places
        of which are `others`, goes the way of a single process.
        """
        counts = self.counts
        first = counts.lines
        start = 0
        for place in [*others, len(outcomes)]:
            if start < place:
                unknown = self._partitions.add_known(outcomes[start:place])
                counts.applied += place - start - len(unknown)  # stale ones are subtracted later
                for missing in unknown:
                    # It will wait, which creates nobody: what was added after it may stay.
                    counts.lines = first + start + missing
                    self._judge(lines[start + missing], outcomes[start + missing])
                counts.lines = first + place
            if place < len(outcomes):
                self._judge(lines[place], outcomes[place])
            start = place + 1

    def _judge(self, line: bytes, found: Any) -> None:
        self._router.judge([line], lambda _: read_before(found))

    def _put_together(self, order: List[int], _: List["Future[Any]"]) -> None:
        takes = [answers.texts.__next__ for answers in self._answers]
        texts: List[str] = []
        characters = 0
        for worker in order:
            text = takes[worker]()
            texts.append(text)
            characters += len(text)
            if characters > OUTPUT_CHARACTERS:
                self._say(texts)
                characters = 0
        self._say(texts)
        for answers in self._answers:
            self.counts.applied -= answers.stale
            self.counts.stale += answers.stale
            answers.stale = 0

    def _say(self, texts: List[str]) -> None:
        output = "".join(texts)
        texts.clear()
        updates = output.count("UpdateProduct")
        self.counts.update_product += updates
        self.counts.end_product += output.count("\n") - updates
        if output:
            self._write(output.encode())


class Answers:
    """What a worker says to events, one after the other, however its answers are cut."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._coming: Any = deque()
        self.stale = 0  # events among those that were taken from `texts`, or a bit ahead
        self.texts = self._texts()

    def ask(self, tasks: List[Fields]) -> "Future[Any]":
        """Have these events applied after those of before; the answer has some of the texts."""
        answer = self._worker.ask("apply", tasks)
        self._coming.append(answer)
        return answer

    def _texts(self) -> Iterator[str]:
        while True:
            answer = self._coming.popleft() if self._coming else self._worker.ask("go_on")
            texts, stale = answer.result()
            self.stale += stale
            yield from texts


def _all_done(answers: List["Future[Any]"]) -> bool:
    return all(answer.done() for answer in answers)


def read_before(found: Any) -> Event:
    """events.read of a line that a worker has read, from the worker's outcome."""
    if type(found) is str:
        raise Skipped(found)
    if len(found) == 5:
        return Event(*found)
    code, reason, known = found
    raise NotAnEvent(code, reason, Known(*known))


class Partitions:
    """The rules of trees.py as tasks for the workers that have the trees.

    Of the products here nothing is known but their trees.
    """

    def __init__(self, workers: int) -> None:
        self._workers = range(workers)
        self._homes: Dict[int, int] = {}  # the worker of each product
        self._clear()

    def _clear(self) -> None:
        self._tasks: List[List[Fields]] = [[] for _ in self._workers]
        self._order: List[int] = []  # the worker of each event

    def hand_over(self, workers: List["Answers"]) -> Tuple[List[int], List["Future[Any]"]]:
        """Ask for what was collected: the worker of each event, and the first answers."""
        order = self._order
        asked = [worker.ask(tasks) for worker, tasks in zip(workers, self._tasks)]
        self._clear()
        return order, asked

    def add_known(self, run: List[Fields]) -> List[int]:
        """Take updates and ends of products that exist; returns the places of the others."""
        homes = list(map(self._homes.get, [fields[1] for fields in run], repeat(NOWHERE)))
        for worker, tasks in zip(self._workers, self._tasks):
            tasks += compress(run, map(worker.__eq__, homes))
        if NOWHERE not in homes:
            self._order += homes
            return []
        self._order += [home for home in homes if home != NOWHERE]
        return [place for place, home in enumerate(homes) if home == NOWHERE]

    # The rules, as registry.py's caller asks for them

    def new_tree(self, product_id: int, stock: int, timestamp: int, clock: Clock) -> Product:
        tree = Tree(clock)
        parent = Product(product_id, 0, 0, tree)
        tree.products.append(parent)
        # Ids are often all even, or multiples of ten.
        self._homes[product_id] = (product_id * 2654435761 >> 16) % len(self._workers)
        self._add((CREATED, product_id, timestamp, stock, None))
        return parent

    def join(self, tree: Tree, product_id: int, stock: int, timestamp: int, _: Any) -> Product:
        root = tree.root
        self._homes[product_id] = self._homes[root]
        self._add((CREATED, product_id, timestamp, stock, root))
        return Product(product_id, 0, 0, tree)

    def update(self, product: Product, stock: int, timestamp: int, _: Any) -> bool:
        self._add((UPDATED, product.id, timestamp, stock, None))
        return True  # stale ones are subtracted later

    def end(self, product: Product, timestamp: int, _: Any) -> None:
        self._add((ENDED, product.id, timestamp, None, None))

    def _add(self, fields: Fields) -> None:
        worker = self._homes[fields[1]]
        self._tasks[worker].append(fields)
        self._order.append(worker)
