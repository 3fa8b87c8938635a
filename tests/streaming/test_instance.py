"""Which slot an instance gets: none twice at a time, the same one again after its end."""

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from streaming.instance import slot
from tests.services.waiting import until

ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from streaming.instance import slot
with slot("", {}, Path(sys.argv[1])) as name:
    print(name, flush=True)
    sys.stdin.read()
"""


def test_a_given_name_wins_then_herokus(tmp_path):
    with slot("left", {"DYNO": "worker.1"}, tmp_path) as name:
        assert name == "left"
    with slot("", {"DYNO": "worker.1"}, tmp_path) as name:
        assert name == "worker.1"
    assert not list(tmp_path.iterdir())


def test_instances_of_one_machine_differ_and_free_slots_are_taken_again(tmp_path):
    with ExitStack() as held:
        names = [held.enter_context(slot("", {}, tmp_path)) for _ in range(3)]
        assert [name.rpartition(".")[2] for name in names] == ["1", "2", "3"]
    with slot("", {}, tmp_path) as name:
        assert name == names[0]


def test_the_slot_of_a_killed_process_is_free(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    first = child.stdout.readline().strip()
    with slot("", {}, tmp_path) as name:
        assert name != first
    child.kill()
    child.communicate()

    def taken() -> bool:
        with slot("", {}, tmp_path) as name:
            return name == first

    until(taken)


def test_a_folder_that_takes_no_files_gives_random_slots(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with slot("", {}, blocked / "slots") as one, slot("", {}, blocked / "slots") as other:
        assert one != other
        assert re.fullmatch(r"[A-Za-z0-9._-]+\.[0-9a-f]{12}", one)


def test_a_slot_is_not_handed_to_children(tmp_path):
    with slot("", {}, tmp_path) as name:
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            env=os.environ,
        )
    with slot("", {}, tmp_path) as again:
        assert again == name
    child.communicate()
