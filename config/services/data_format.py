"""Is what the engines left in `var/` something that their present versions can read?

Asked by all that start engines there: an engine itself would only end with a stack trace.
Looks at files alone, and leaves one: `engines.json`, the versions that were last run on the data,
since the files of Kafka and RabbitMQ don't tell theirs.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from config.services import install
from config.services.engine import EngineError
from config.services.engines import ENGINES
from config.services.kafka import KAFKA
from config.services.postgres import tool_version

# Newest format of Valkey 9's snapshots (`VALKEY080`), and of Redis' that it reads (`REDIS0011`).
VALKEY_RDB, REDIS_RDB = 80, 11
STAMP = "engines.json"
RESTORE = (
    "Nothing was changed. Make a backup with the Stockroom that wrote it (make backup), move"
    " {folder} away, and restore with this one (make restore FILE=…)."
)
ANEW = (
    "Nothing was changed. Run the former version until its {what} are worked off, or move {folder}"
    " away: {name} then begins anew, without them."
)
ADVICE = {
    "postgres": RESTORE,
    "valkey": RESTORE,
    "kafka": ANEW.replace("{what}", "topics"),
    "rabbitmq": ANEW.replace("{what}", "queues"),
}
NAMES = {"postgres": "PostgreSQL", "valkey": "Valkey", "kafka": "Kafka", "rabbitmq": "RabbitMQ"}


def check(
    var_dir: Path, environment: Mapping[str, str], engines: Collection[str] | None = None
) -> None:
    """Raise EngineError with what was found, what is needed and what to do, of all `engines`.

    Those are the ones about to be started, by default those of STOCKROOM_ENGINES in `environment`;
    the others' data stay unread. Engines whose address `environment` gives are others' business.
    Raises OSError where the versions can't be written down.
    """
    former = recorded(var_dir)
    found, present = [], {}
    wanted = _wanted(environment) if engines is None else engines
    for name, problem in PROBLEMS.items():
        folder = var_dir / name
        if name not in wanted or is_given(name, environment):
            continue
        before = former.get(name, "") if folder.is_dir() else ""
        text = problem(folder, before) if folder.is_dir() else ""
        if text:
            advice = ADVICE[name].format(folder=folder, name=NAMES[name])
            found.append(f"{text}\n{advice} See docs/data.md.")
        present[name] = VERSIONS[name]() or before  # a program that is missing runs on nothing
    if found:
        raise EngineError("\n\n".join(found))
    if former != {**former, **present}:
        write(var_dir, {**former, **present})


def is_given(engine: str, environment: Mapping[str, str]) -> bool:
    """Whether `environment` has all addresses of this engine, so that none of ours is started."""
    return all(environment.get(variable) for variable in ENGINES[engine].provides)


def _wanted(environment: Mapping[str, str]) -> Collection[str]:
    """The engines that `make run` starts. A name that is none is the supervisor's to refuse."""
    names = environment.get("STOCKROOM_ENGINES")
    return {name.strip() for name in names.split(",")} if names else ENGINES.keys()


def of_postgres(folder: Path, former: str) -> str:
    """What is wrong with a cluster, "" where nothing is. Its major version is in PG_VERSION."""
    version = _read(folder / "PG_VERSION")
    if version is None:
        return ""
    ours = tool_version()
    if version == ours.split(".")[0]:
        return ""
    age = _age(version, ours.split(".")[0])
    return (
        f"PostgreSQL's data in {folder} has the format of version {version or '?'}, this Stockroom"
        f" brings version {ours}. The data is {age}, and no version reads another's."
    )


def of_valkey(folder: Path, former: str) -> str:
    """The same of Valkey: the head of its append-only file's base, or of a snapshot."""
    for path in [*sorted((folder / "appendonlydir").glob("*.base.rdb")), folder / "dump.rdb"]:
        if not path.exists():
            continue
        with path.open("rb") as file:
            head = file.read(9)
        made = re.fullmatch(rb"(VALKEY|REDIS)(\d{3,4})", head)
        if made is None:
            return f"{path} is no data of Valkey: it begins with {head!r}. The data is damaged."
        newest = VALKEY_RDB if made[1] == b"VALKEY" else REDIS_RDB
        if int(made[2]) > newest:
            return (
                f"Valkey's data in {path} has format {head.decode()}, this Stockroom's Valkey reads"
                f" up to {made[1].decode()}{newest:0{len(made[2])}}. The data is newer."
            )
    return ""


def of_kafka(folder: Path, former: str) -> str:
    """The same of Kafka: its meta.properties, and the version that was last run on it."""
    text = _read(folder / "topics" / "meta.properties")
    if text is None:
        return ""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    version = values.get("version", "?").strip()
    if version != "1":
        return (
            f"Kafka's data in {folder} has meta.properties of version {version}, {KAFKA} needs"
            f" version 1. The data is {_age(version, '1')}."
        )
    node = values.get("node.id", "?").strip()
    if node != "1":
        return f"Kafka's data in {folder} is of node {node}, and this one is node 1."
    if is_newer(former, KAFKA):
        return (
            f"Kafka {former} has run on the data in {folder}, this Stockroom brings {KAFKA}. The"
            " data is newer."
        )
    return ""


def of_rabbitmq(folder: Path, former: str, ours: Callable[[], str] | None = None) -> str:
    """The same of RabbitMQ, which goes back to no older version and takes one step at a time."""
    version = (ours or rabbitmq_version)()
    if not (folder / "mnesia").is_dir() or not former or not version:
        return ""
    before, now = numbers(former)[:2], numbers(version)[:2]
    if is_newer(former, version):
        age = "newer"
    elif before[0] != now[0] or now[1] - before[1] > 1:
        age = "too old: RabbitMQ goes from one minor version to the next"
    else:
        return ""
    return (
        f"RabbitMQ {former} has run on the data in {folder}, {version} is installed. The data is"
        f" {age}."
    )


def rabbitmq_version() -> str:
    """Of the installed program, by the folder that it is in; "" where that does not say."""
    for library in ("/usr/lib/rabbitmq/lib", "/opt"):
        for place in sorted(Path(library).glob("rabbitmq_server-*"), reverse=True):
            return place.name.partition("-")[2]
    found = install.RABBITMQ.find()
    made = re.search(r"rabbitmq_server-([0-9.]+)", str(Path(found).resolve())) if found else None
    return made[1] if made else ""


def is_newer(version: str, ours: str) -> bool:
    """Whether data that `version` has run on are none for `ours`, of a smaller major or minor.

    Patch releases share a format; "" is older than all.
    """
    return numbers(version)[:2] > numbers(ours)[:2]


def numbers(version: str) -> tuple[int, ...]:
    """`3.10.8` as (3, 10, 8); what is no number counts as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


def recorded(var_dir: Path) -> dict[str, str]:
    """By engine: the version that was last run on its data; "" or missing where that is unknown."""
    try:
        found = json.loads((var_dir / STAMP).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}


def write(var_dir: Path, versions: Mapping[str, str]) -> None:
    """Write down what `recorded` returns."""
    (var_dir / STAMP).write_text(json.dumps(dict(versions), indent=1) + "\n")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return None


def _age(found: str, needed: str) -> str:
    if not found.isdigit() or not needed.isdigit():
        return "damaged"
    return "newer" if int(found) > int(needed) else "older"


PROBLEMS: dict[str, Callable[[Path, str], str]] = {
    "postgres": of_postgres,
    "valkey": of_valkey,
    "kafka": of_kafka,
    "rabbitmq": of_rabbitmq,
}
VERSIONS: dict[str, Callable[[], str]] = {
    "postgres": tool_version,
    "valkey": lambda: f"VALKEY{VALKEY_RDB:03}",
    "kafka": lambda: KAFKA,
    "rabbitmq": rabbitmq_version,
}
