"""What a process is, from its command line. Pure; for log lines."""

from collections.abc import Iterator, Sequence
from pathlib import PurePath

OWN_WORKER = {"performance": "performance"}  # queue: the role of a worker of that queue alone


def role(argv: Sequence[str]) -> str:
    """`web`, `beat`, `worker`, `performance`, a consumer's name (several with + between), the name
    of a `manage.py` command, or else that of the program. `argv` is sys.argv."""
    program = PurePath(argv[0]) if argv else PurePath("python")
    name = program.parent.name if program.name == "__main__.py" else program.stem
    arguments = list(argv[1:])
    if name == "gunicorn":
        return "web"
    if name == "celery":
        return _celery(arguments)
    if name == "manage" and arguments:
        command, *rest = arguments
        names = [each for each in rest if not each.startswith("-")]
        return "+".join(names) if command == "run_consumer" and names else command
    return name


def _celery(arguments: Sequence[str]) -> str:
    consumers = list(_values(arguments, "--consumer"))
    if consumers:
        return "+".join(consumers)
    if "worker" in arguments:
        queues = [*_values(arguments, "-Q"), *_values(arguments, "--queues")]
        return OWN_WORKER.get(queues[-1] if queues else "", "worker")
    return "beat" if "beat" in arguments else "celery"


def _values(arguments: Sequence[str], option: str) -> Iterator[str]:
    """What is given for `option`, as `--name value` or `--name=value`."""
    for place, argument in enumerate(arguments):
        if argument == option and place + 1 < len(arguments):
            yield arguments[place + 1]
        elif argument.startswith(f"{option}="):
            yield argument.partition("=")[2]
