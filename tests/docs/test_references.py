"""What README.md and docs/ refer to is there: links, files, addresses, variables, targets."""

import re
import subprocess

from django.urls import Resolver404, resolve

from tests.docs import texts
from tests.docs.rules import known_variables, targets
from tests.docs.texts import ROOT

# Names of others, and of Stockroom's that are no variables.
NOT_VARIABLES = {
    "CONN_MAX_AGE",  # of Django
    "PG_VERSION",  # a file of PostgreSQL
    "SSL_CERT_FILE",  # of OpenSSL
}
# With an underscore: others are names of many things.
VARIABLE = re.compile(r"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=.*)?")
FILE = re.compile(r"[\w.@*-]+(?:/[\w.@*-]+)*/?")
TOP = {path.name for path in ROOT.iterdir()}


def test_each_link_leads_somewhere():
    missing = []
    for place, target in texts.links():
        path, _, anchor = target.partition("#")
        here = ROOT / place.partition(":")[0]
        document = here.parent / path if path else here
        there = document.exists() and (not anchor or anchor in texts.anchors(document.resolve()))
        if not there:
            missing.append(f"{place}: {target}")
    assert not missing


def test_each_target_of_make_is_in_the_readme():
    missing = targets() - set(re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert not missing


def test_make_help_names_them():
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"^  make ([a-z-]+) ", shown.stdout, re.M)) == targets()


def test_each_document_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    missing = [
        texts.name(path) for path in texts.DOCUMENTS[1:] if f"({texts.name(path)}" not in readme
    ]
    assert not missing


def test_each_variable_is_one():
    known, unknown = known_variables() | NOT_VARIABLES, []
    for place, text in texts.names():
        found = VARIABLE.fullmatch(text)
        if found and found[1] not in known:
            unknown.append(f"{place}: {found[1]}")
    assert not unknown


def test_each_file_is_there():
    missing = []
    for place, text in texts.names():
        if not FILE.fullmatch(text) or text.partition("/")[0] not in TOP or text.startswith("var/"):
            continue
        if not list(ROOT.glob(text.rstrip("/"))):
            missing.append(f"{place}: {text}")
    assert not missing


def leads_somewhere(path: str) -> bool:
    """Whether the address, with {any} or <any> part filled in, is one of ours."""
    for sample in ("1", "AB-1", "stock1", "8c1f0a9b-e2d3-4c77-8c1f-0a9be2d34c77"):
        try:
            resolve(re.sub(r"\{\w+\}|<\w+>", sample, path))
        except Resolver404:
            continue
        return True
    return False


OUTSIDE = ("/etc/", "/var/")
# What many addresses begin with.
BEGINNINGS = {"/api/", "/api/stocksync/"}


def test_each_address_is_answered():
    missing = []
    for place, text in texts.names():
        path = re.split(r"[?#]", re.sub(r"^(GET|POST|PATCH|PUT|DELETE) ", "", text))[0]
        if not re.fullmatch(r"/(?!/)[\w{}<>./-]+", path) or path.startswith(OUTSIDE):
            continue
        if path not in BEGINNINGS and not leads_somewhere(path):
            missing.append(f"{place}: {text}")
    assert not missing
