"""README.md and docs/*.md in pieces: blocks, commands, names in backticks, links, headings.

Used by the tests beside it.
"""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
HERE_DOCUMENT = re.compile(r"<<-?\s*'?(\w+)'?")
# What a shell passes on to the next line.
GOES_ON = ("\\", "|", "&&")


class Block(NamedTuple):
    """What stands between two lines of ```; `place` is file:line, `language` may be empty."""

    place: str
    language: str
    text: str


class Command(NamedTuple):
    """One command of a shell block, with all of its lines, or a name in backticks."""

    place: str
    text: str


class Link(NamedTuple):
    place: str
    target: str


def name(document: Path) -> str:
    return str(document.relative_to(ROOT))


def split(document: Path) -> tuple[list[Block], list[tuple[int, str]]]:
    """Its blocks, and its other lines with their numbers."""
    blocks, prose = [], []
    language, begun, inside = "", 0, []
    for number, line in enumerate(document.read_text().splitlines(), 1):
        if line.startswith("```"):
            if begun:
                blocks.append(Block(f"{name(document)}:{begun}", language, "\n".join(inside)))
                begun, inside = 0, []
            else:
                begun, language = number, line[3:]
        elif begun:
            inside.append(line)
        else:
            prose.append((number, line))
    assert not begun, f"{name(document)}:{begun}: a block without an end"
    return blocks, prose


def blocks() -> list[Block]:
    return [block for document in DOCUMENTS for block in split(document)[0]]


def shell_blocks() -> list[Block]:
    return [block for block in blocks() if block.language == "sh"]


def commands(block: Block) -> list[Command]:
    """Its commands in order, without comments."""
    found, lines = [], block.text.splitlines()
    path, _, first = block.place.partition(":")
    at = 0
    while at < len(lines):
        begun, line = at, without_comment(lines[at])
        while line.endswith(GOES_ON):
            at += 1
            line += "\n" + without_comment(lines[at])
        if end := HERE_DOCUMENT.search(line):
            while lines[at] != end[1]:
                at += 1
            line = "\n".join(lines[begun : at + 1])
        if line:
            found.append(Command(f"{path}:{int(first) + 1 + begun}", line))
        at += 1
    return found


def without_comment(line: str) -> str:
    return re.sub(r"(^|\s)#\s.*$", "", line).rstrip()


def names() -> list[Command]:
    """Each text in backticks outside of blocks, also one that goes over the end of a line."""
    found = []
    for document in DOCUMENTS:
        _, prose = split(document)
        text = "\n".join(line for _, line in prose)
        numbers = [number for number, _ in prose]
        for match in re.finditer(r"`([^`]+)`", text):
            line = numbers[text.count("\n", 0, match.start())]
            said = " ".join(match[1].replace("\\|", "|").split())
            found.append(Command(f"{name(document)}:{line}", said))
    return found


def links() -> list[Link]:
    """All [text](target), of files and headings alone."""
    found = []
    for document in DOCUMENTS:
        _, prose = split(document)
        text = "\n".join(line for _, line in prose)
        numbers = [number for number, _ in prose]
        for match in re.finditer(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"https?://|mailto:", match[1]):
                line = numbers[text.count("\n", 0, match.start())]
                found.append(Link(f"{name(document)}:{line}", match[1]))
    return found


def anchors(document: Path) -> set[str]:
    """What leads to its headings, as GitHub makes it."""
    found: set[str] = set()
    for _, line in split(document)[1]:
        if heading := re.fullmatch(r"#+ (.+)", line):
            plain = re.sub(r"[^\w -]", "", heading[1]).lower().replace(" ", "-")
            again = sum(
                re.fullmatch(rf"{re.escape(plain)}(-\d+)?", one) is not None for one in found
            )
            found.add(f"{plain}-{again}" if again else plain)
    return found
