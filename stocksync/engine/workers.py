"""Processes that read lines and keep trees for parallel.py."""

import marshal
import multiprocessing
import signal
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Dict, List, Optional, Tuple

from . import events, trees
from .events import ENDED, UPDATED, NotAnEvent, Skipped
from .trees import Clock, Product

# An event's fields, as marshal takes them.
Fields = Tuple[str, int, int, Any, Optional[int]]


class WorkerLost(OSError):
    """A process ended before its work."""


class Worker:
    """A process that answers one question after the other, and the thread that asks them."""

    def __init__(self) -> None:
        # A fresh interpreter: a forked one would hold the ends of the other workers' pipes open.
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_answer, args=(other,), daemon=True)
        self._process.start()
        other.close()
        self._asking = ThreadPoolExecutor(1)

    def ask(self, name: str, *arguments: Any) -> "Future[Any]":
        """The answer of one of Duties' methods, later."""
        return self._asking.submit(self._ask, name, arguments)

    def _ask(self, name: str, arguments: Tuple[Any, ...]) -> Any:
        try:
            self._pipe.send_bytes(marshal.dumps((name, arguments)))
            return marshal.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            raise WorkerLost("a process of --jobs ended before its work") from None

    def close(self) -> None:
        """End the process; what it was still asked is not answered."""
        self._process.terminate()
        self._process.join()
        self._asking.shutdown()
        self._pipe.close()


def _answer(pipe: Any) -> None:
    """The process: answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the asking process ends this one
    duties = Duties()
    while True:
        try:
            name, arguments = marshal.loads(pipe.recv_bytes())
            pipe.send_bytes(marshal.dumps(getattr(duties, name)(*arguments)))
        except (EOFError, OSError):
            return


ANSWER_CHARACTERS = 8 * 1024 * 1024  # after which an answer ends
KNOWN_PRODUCT = (UPDATED, ENDED)  # events that are about one


class Duties:
    """What a worker does: reads lines of any tree, applies events to its own trees."""

    def __init__(self) -> None:
        self._products: Dict[int, Product] = {}
        self._tasks: Any = deque()  # events that were taken and are not applied yet

    def read(self, lines: List[bytes]) -> Tuple[List[Any], List[int]]:
        """Of each line its event's fields, or why it is none (see outcome).

        With the places of those that are neither updates nor ends.
        """
        outcomes = [outcome(line) for line in lines]
        others = [place for place, found in enumerate(outcomes) if found[0] not in KNOWN_PRODUCT]
        return outcomes, others

    def apply(self, tasks: List[Fields]) -> Tuple[List[str], int]:
        """Take these events; the answer is that of go_on."""
        self._tasks.extend(tasks)
        return self.go_on()

    def go_on(self) -> Tuple[List[str], int]:
        """Of each of the next events its commands, and how many events were stale.

        Not all of those that were taken, where there are very many commands.
        """
        products = self._products
        tasks = self._tasks
        update = trees.update
        commands: List[str] = []
        texts = []
        stale = characters = 0
        while tasks and characters < ANSWER_CHARACTERS:
            kind, product_id, timestamp, stock, parent_id = tasks.popleft()
            if kind == UPDATED:
                if not update(products[product_id], stock, timestamp, commands):
                    stale += 1
            elif kind == ENDED:
                trees.end(products[product_id], timestamp, commands)
            elif parent_id is None:
                products[product_id] = trees.new_tree(product_id, stock, timestamp, Clock())
            else:
                tree = products[parent_id].tree
                products[product_id] = trees.join(tree, product_id, stock, timestamp, commands)
            if commands:
                text = "".join(commands)
                characters += len(text)
                texts.append(text)
                commands.clear()
            else:
                texts.append("")
        return texts, stale

    def stocks(self) -> Dict[int, int]:
        """The stock of each product."""
        return {product.id: product.stock for product in self._products.values()}


def outcome(line: bytes) -> Any:
    """events.read as a value: an event's fields, the kind of a skipped line, or a refusal."""
    try:
        return tuple(events.read(line))
    except Skipped as skipped:
        return skipped.kind
    except NotAnEvent as refused:
        return refused.code, refused.reason, tuple(refused.known)
