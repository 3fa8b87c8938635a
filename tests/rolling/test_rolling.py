"""A roll-out and kills under load: one process after another, and nothing is lost.

The soak does it at length, and kills web too.
"""

import random

from tests.rolling.load import everything
from tests.rolling.reckoning import nobody_was_turned_away, reconcile
from tests.rolling.rollout import Rolled, kill, reload_web, roll_out
from tests.rolling.whole import ONCE, TWICE, whole_stockroom

ROWS = 3_000
SEED = 20261123


def test_a_roll_out_and_kills_under_load_lose_nothing(capsys) -> None:
    source, rolled = random.Random(SEED), Rolled()
    with whole_stockroom() as stockroom, everything(stockroom, import_rows=ROWS) as load:
        reload_web(stockroom)
        roll_out(stockroom, rolled)
        for role in TWICE:
            kill(stockroom, f"{role}.1", source, rolled)
        load.end()
        said = reconcile(stockroom, load)
    with capsys.disabled():
        print(f"\n{said}")
    assert sum(rolled.restarted.values()) == len(ONCE) + len(TWICE)
    assert set(rolled.killed) == set(TWICE)
    assert all(each.done for each in load.repeated)
    nobody_was_turned_away(load.views)
