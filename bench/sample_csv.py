"""Writes product files with the statistics of the reference file, for benches and large tests.

500,000 rows in 86 MiB: header `name,sku,description`, CRLF between records, bare line feeds inside
quoted descriptions, 466,693 distinct SKUs (compared without case). The same arguments give the same
bytes. `python -m bench.sample_csv OUT --rows N`
"""

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

ROWS = 500_000
DISTINCT_SHARE = 466_693 / 500_000
BYTES_PER_ROW = 86 * 1024 * 1024 / ROWS
FLUSH_ROWS = 5_000

WORDS = """
able about above across action add after again age agree air all almost alone along also always
among animal answer area argue arm around arrive art ask attack away baby back bad bag ball bank
bar base beat become bed before begin behind best better beyond big bill bit black blood blue board
body book both box boy break bring brother build building buy call camera card care carry case catch
cause cell center certain chair chance change child choice church city civil claim class clear close
coach cold color come common could country couple course court cover create crime cup current cut
dark data day dead deal death debate decade decide deep degree detail die dinner doctor dog door
down draw dream drive drop drug early east easy eat economy edge effect eight either end energy
enjoy enough enter entire event ever every expert eye face fact fail fall family far fast father
fear feel field fight fill film final find fine finger finish fire firm first fish five floor fly
focus follow food foot force forget form former free friend front full fund future game garden gas
girl give glass goal good great green ground group grow growth guess gun guy hair half hand hang
happen happy hard head health hear heart heat heavy help here high history hit hold home hope
hospital hot hotel hour house huge human idea image impact inside issue item job join keep key kid
kind kitchen know land large last late laugh law lawyer lay lead leader learn leave left leg legal
less letter level lie life light like line list listen little live local long look lose loss lot
love low machine main major make man manage many market matter may maybe mean media meet member
memory mention method middle might mind minute miss model modern moment money month more morning
most mother mouth move movie much music must name nation nature near need network never new news
next nice night none north note notice number offer office often oil old once one only open order
other owner page pain paper parent part party pass past pay peace people person phone pick picture
piece place plan plant play point police policy poor power present price process produce product
program project prove public pull purpose push put quality question quite race radio raise range
rate reach read ready real reason record red reduce region remain report rest result return rich
right rise risk road rock role room rule run safe same save say scene school science score sea
season seat second see seek seem sell send sense series serve set seven shake share shoot short
shot should show side sign simple since sing single sister sit site six size skill skin small smile
social some son song soon sort sound source south space speak speech spend sport spring staff stage
stand standard star start state station stay step still stock stop store story street strong study
stuff style such suffer summer support sure table take talk task tax teach team tell ten tend term
test thank theory thing think third though thought threat three through throw time today together
tonight top total tough toward town trade travel treat tree trial trip trouble true truth try turn
two type under unit until use usually value very view visit voice vote wait walk wall want war watch
water way weapon wear week weight west what when white whole wide wife will win wind window wish
woman wonder word work world worry would write wrong yard year yes young
""".split()  # noqa: SIM905
FIRST_NAMES = """
Amanda Amy Andrea Andrew Angela Anthony Ashley Brandon Brian Bryce Christina Christopher Cynthia
Daniel David Deborah Donna Edward Elizabeth Emily Eric Gregory Heather James Jason Jeffrey Jennifer
Jessica John Jonathan Joseph Joshua Karen Kelly Kevin Kimberly Laura Lisa Maria Mark Mary Matthew
Melissa Michael Michelle Nicholas Nicole Pamela Patricia Paul Rachel Rebecca Richard Robert Ryan
Sandra Sarah Scott Sharon Stephanie Steven Susan Teresa Thomas Timothy Tiffany Victoria William
""".split()  # noqa: SIM905
LAST_NAMES = """
Adams Allen Anderson Bailey Baker Bell Bennett Brooks Brown Butler Campbell Carter Clark Collins
Cook Cooper Cox Cruz Davis Diaz Edwards Evans Fisher Flores Foster Garcia Gomez Gonzalez Gray Green
Hall Harris Hernandez Hill Howard Hughes Jackson James Jenkins Johnson Jones Kelly King Lee Lewis
Long Lopez Martin Martinez Miller Mitchell Moore Morales Morgan Morris Murphy Myers Nelson Nguyen
Ortiz Parker Perez Peterson Phillips Powell Price Ramirez Reed Reyes Richardson Rivera Roberts
Robinson Rodriguez Rogers Ross Russell Sanchez Sanders Scott Smith Stewart Sullivan Taylor Thomas
Thompson Torres Turner Walker Ward Watson White Williams Wilson Wood Wright Young
""".split()  # noqa: SIM905

SKU_WORDS = 4
SKU_SPACE = len(WORDS) ** SKU_WORDS
# A prime greater than the number of words, so without a common divisor with the space.
SKU_STEP = 2_654_435_761

# Each is refused by a rule of its own; `{n}` keeps them apart. The last one must not open a quote
# that the next record would close.
BAD_RECORDS = (
    "Name {n},bad-{n},text,one column too many",
    "Name {n},bad-{n}",
    "Name {n},  ,no sku",
    " ,bad-{n},no name",
    f"Name {{n}},{'x' * 129},sku too long",
    "Name {n},bad-{n},a NUL \0 in it",
    "Name {n},bad-{n},not UTF-8 \udcff\udcfe",
    'Name {n},bad-{n},"text" after the quotes',
)


@dataclass(frozen=True, slots=True)
class Sample:
    """What was written. `rows` are the good records; `distinct` counts their SKUs without case."""

    rows: int
    distinct: int
    rejects: int
    bytes: int


def _sku(index: int, offset: int) -> str:
    """Name the `index`-th SKU: a bijection, so that no set of those used has to be kept."""
    number = (index * SKU_STEP + offset) % SKU_SPACE
    words = []
    for _ in range(SKU_WORDS):
        number, word = divmod(number, len(WORDS))
        words.append(WORDS[word])
    return "-".join(words)


def _sentences(rng: random.Random, count: int = 20_000) -> list[str]:
    return [
        " ".join(rng.choices(WORDS, k=rng.randint(4, 9))).capitalize() + "." for _ in range(count)
    ]


def _case_changed(rng: random.Random, sku: str) -> str:
    return rng.choice((str.upper, str.title, str.capitalize))(sku)


def _skus(rows: int, seed: int) -> Iterator[str]:
    """Yield `rows` SKUs; a duplicate repeats one given before, one in five in another case."""
    rng = random.Random(f"{seed} sku")
    offset = rng.randrange(SKU_SPACE)
    duplicates = set(rng.sample(range(1, rows), rows - _distinct(rows))) if rows > 1 else set()
    given = 0
    for row in range(rows):
        if row in duplicates:
            sku = _sku(rng.randrange(given), offset)
            yield _case_changed(rng, sku) if rng.random() < 0.2 else sku
        else:
            yield _sku(given, offset)
            given += 1


def _distinct(rows: int) -> int:
    return max(1, round(rows * DISTINCT_SHARE)) if rows else 0


def _records(
    rows: int, seed: int, bytes_target: int, changed_fraction: float, rejects: int
) -> Iterator[str]:
    text, changes, bad = (random.Random(f"{seed} {use}") for use in ("text", "changes", "bad"))
    sentences = _sentences(text)
    changed_sentences = _sentences(changes)
    bad_before = sorted(bad.choices(range(rows + 1), k=rejects), reverse=True)
    written = 0
    bad_written = 0
    for row, sku in enumerate(_skus(rows, seed)):
        while bad_before and bad_before[-1] == row:
            bad_before.pop()
            yield BAD_RECORDS[bad_written % len(BAD_RECORDS)].format(n=bad_written)
            bad_written += 1
        # Behind the target: a long description; ahead of it: a short one.
        count = 5 if written < bytes_target * row / rows else 2
        name = f"{text.choice(FIRST_NAMES)} {text.choice(LAST_NAMES)}"
        record = _record(name, sku, text.choices(sentences, k=count))
        written += len(record) + 2  # of the unchanged one, or the changed would change the others
        if changed_fraction and changes.random() < changed_fraction:
            record = _record(name, sku, changes.choices(changed_sentences, k=count))
        yield record
    for number in range(bad_written, rejects):
        yield BAD_RECORDS[number % len(BAD_RECORDS)].format(n=number)


def _record(name: str, sku: str, sentences: list[str]) -> str:
    middle = (len(sentences) + 1) // 2
    description = " ".join(sentences[:middle]) + "\n" + " ".join(sentences[middle:])
    return f'{name},{sku},"{description}"'


def write_sample(
    out: str | Path | BinaryIO,
    rows: int = ROWS,
    seed: int = 1,
    bytes_target: int | None = None,
    *,
    changed_fraction: float = 0.0,
    rejects: int = 0,
) -> Sample:
    """Write a product file to a path or an open binary file, a few MiB of memory whatever its size.

    `bytes_target` is met within a percent between about 110 and 230 bytes a row (default: the
    reference file's 180). `changed_fraction` (0 to 1) gives that share of the rows another
    description than the same arguments without it; SKUs, names and order stay. `rejects` bad
    records are put between the good ones.
    """
    if not hasattr(out, "write"):
        with open(out, "wb") as file:
            return write_sample(
                file, rows, seed, bytes_target, changed_fraction=changed_fraction, rejects=rejects
            )
    target = round(rows * BYTES_PER_ROW) if bytes_target is None else bytes_target
    sample = Sample(rows=rows, distinct=_distinct(rows), rejects=rejects, bytes=0)
    block = ["name,sku,description"]
    records = _records(rows, seed, target, changed_fraction, rejects)
    while block:
        encoded = ("\r\n".join(block) + "\r\n").encode("utf-8", "surrogateescape")
        out.write(encoded)
        sample = replace(sample, bytes=sample.bytes + len(encoded))
        block = [record for _, record in zip(range(FLUSH_ROWS), records, strict=False)]
    return sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bytes", type=int, help="size to aim at (default: 180 bytes a row)")
    parser.add_argument("--changed", type=float, default=0.0, help="share of changed descriptions")
    parser.add_argument("--rejects", type=int, default=0, help="bad records put between the others")
    options = parser.parse_args()
    print(
        write_sample(
            options.out,
            options.rows,
            options.seed,
            options.bytes,
            changed_fraction=options.changed,
            rejects=options.rejects,
        )
    )


if __name__ == "__main__":
    main()
