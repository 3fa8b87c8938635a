"""One thing for each key, whoever asks at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor

from config.made_once import made_once


def test_threads_that_ask_together_get_one_thing() -> None:
    together = threading.Barrier(4)

    @made_once
    def make(name: str) -> object:
        together.wait(60)
        return object()

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, ["one"] * 4))

    assert len({id(each) for each in made}) == 1
    assert make("one") is made[0]


def test_each_key_has_its_own() -> None:
    @made_once
    def make(name: str, number: int) -> list[object]:
        return [name, number]

    assert make("one", 1) is make("one", 1)
    assert make("one", 2) == ["one", 2]
