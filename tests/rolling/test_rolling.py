"""A roll-out under load: every process is restarted, one after another, and nothing is lost.

The soak does it at length, and with kills.
"""

from tests.rolling.load import everything
from tests.rolling.reckoning import nobody_was_turned_away, reconcile
from tests.rolling.rollout import Rolled, reload_web, roll_out
from tests.rolling.whole import ONCE, TWICE, whole_stockroom

ROWS = 3_000


def test_a_roll_out_under_load_loses_nothing(capsys) -> None:
    rolled = Rolled()
    with whole_stockroom() as stockroom, everything(stockroom, import_rows=ROWS) as load:
        reload_web(stockroom)
        roll_out(stockroom, rolled)
        load.end()
        said = reconcile(stockroom, load)
    with capsys.disabled():
        print(f"\n{said}")
    assert sum(rolled.restarted.values()) == len(ONCE) + len(TWICE)
    assert load.imports.done
    assert load.orders.done
    nobody_was_turned_away(load.views)
