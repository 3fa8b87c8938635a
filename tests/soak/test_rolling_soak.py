"""Ten minutes of everything at once while all processes are rolled out and killed, again and again.

Imports of 50,000 rows, edits with webhooks, sales, orders and ledger messages together; then all of
it is reconciled. What was killed when depends on SEED and on the machine's speed.
"""

import itertools
import random
import time

import pytest

from tests.rolling.load import everything
from tests.rolling.reckoning import reconcile
from tests.rolling.rollout import Rolled, kill, reload_web, roll_out
from tests.rolling.whole import ONCE, TWICE, whole_stockroom

pytestmark = pytest.mark.soak

SECONDS = 600.0
ROWS = 50_000
SEED = 20261122
KILLS_BETWEEN = 8
EVERY_SECONDS = (1.0, 8.0)


def test_ten_minutes_of_roll_outs_and_kills_lose_nothing(capsys) -> None:
    source = random.Random(SEED)
    rolled = Rolled()
    with whole_stockroom([*TWICE, "prices", "performance"]) as stockroom:
        processes = list(stockroom.stack.processes)
        victims = itertools.cycle(source.sample(processes, len(processes)))
        with everything(stockroom, import_rows=ROWS) as load:
            began = time.monotonic()
            while time.monotonic() < began + SECONDS:
                roll_out(stockroom, rolled)
                reload_web(stockroom)
                for _ in range(KILLS_BETWEEN):
                    load.wait(source.uniform(*EVERY_SECONDS))
                    kill(stockroom, next(victims), source, rolled)
            load.end()
            said = reconcile(stockroom, load)
    with capsys.disabled():
        print(f"\n{said}")
        print(f"restarted {dict(rolled.restarted)}, killed {dict(rolled.killed)}")
    assert set(rolled.restarted) == set(rolled.killed) == set(ONCE)
    assert all(each.done for each in load.repeated)
