"""Known vulnerabilities of what is pinned, as pip-audit finds them. `make audit` and a test run it.

PyPI keeps the list. Where it can't be asked (no network, a mirror that has packages alone)
pip-audit calls every package fine, so what it left out is looked at first.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PINNED = ("requirements.txt", "requirements-dev.txt", "constraints.txt")
ALLOWED = ROOT / "config" / "audit_allowed.toml"
PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s#;]+)")
PROBE = "Django"  # asked for alone first: one request says whether the list can be had
CONNECT_SECONDS = 15
AUDIT_SECONDS = 300.0
OLDEST = 10  # pins listed where there is no audit
MOST_DAYS = 180  # that a pin may be unchanged where nobody can ask what is known of it


class Away(Exception):
    """The list of vulnerabilities can't be had; the text says why."""


@dataclass(frozen=True)
class Exemption:
    """A vulnerability that we live with until `until`, and the reason."""

    package: str
    id: str
    until: date
    reason: str


@dataclass(frozen=True)
class Verdict:
    """What an audit comes to, each entry a line for people."""

    failures: list[str] = field(default_factory=list)
    """What has to be mended."""
    remarks: list[str] = field(default_factory=list)
    """What one should know: no fix yet, allowed, not audited, an exemption without use."""


def canonical(name: str) -> str:
    """A package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(texts: Sequence[str]) -> dict[str, str]:
    """Package and version of each pin in the requirements files `texts`; the last one counts."""
    found: dict[str, str] = {}
    for text in texts:
        for line in text.splitlines():
            if pin := PIN.match(line):
                found[canonical(pin[1])] = pin[2]
    return found


def exemptions(text: str) -> list[Exemption]:
    """The entries of config/audit_allowed.toml; ValueError for one that is not complete."""
    entries = tomllib.loads(text).get("allowed", [])
    for entry in entries:
        if set(entry) != {"package", "id", "until", "reason"} or not entry["reason"].strip():
            raise ValueError(f"An entry has package, id, until and reason, not {sorted(entry)}.")
        if type(entry["until"]) is not date:
            raise ValueError(f"{entry['id']}: until is a date, such as 2027-01-31.")
    return [Exemption(**entry) for entry in entries]


def verdict(report: Mapping[str, Any], allowed: Sequence[Exemption], today: date) -> Verdict:
    """What pip-audit's JSON `report` comes to on the day `today`.

    A known vulnerability fails where a release mends it and no exemption names it. Raises Away
    where no package could be looked up.
    """
    dependencies = report["dependencies"]
    left_out = [each["name"] for each in dependencies if "skip_reason" in each]
    if dependencies and len(left_out) == len(dependencies):
        raise Away(dependencies[0]["skip_reason"])
    said, used = Verdict(), set[Exemption]()
    said.remarks.extend(
        f"{name}: not audited, PyPI does not know this version" for name in left_out
    )
    for each in dependencies:
        for found in each.get("vulns", []):
            ids = {found["id"], *found["aliases"]}
            line = f"{each['name']} {each['version']}: {', '.join(sorted(ids))}"
            known = next(
                (a for a in allowed if a.id in ids and canonical(a.package) == each["name"]), None
            )
            if known:
                used.add(known)
            if not found["fix_versions"]:
                said.remarks.append(f"{line}, no release mends it yet")
            elif known and today <= known.until:
                said.remarks.append(f"{line}, allowed until {known.until}: {known.reason}")
            else:
                over = f" (allowed only until {known.until})" if known else ""
                said.failures.append(f"{line}, mended in {', '.join(found['fix_versions'])}{over}")
    said.remarks.extend(
        f"config/audit_allowed.toml: {each.id} of {each.package} is not found any more, remove it"
        for each in allowed
        if each not in used
    )
    return said


def audited(packages: Mapping[str, str], *, seconds: float = AUDIT_SECONDS) -> dict[str, Any]:
    """pip-audit's report on these versions of these packages. Raises Away, also after `seconds`."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{name}=={version}\n" for name, version in packages.items())
        file.flush()
        command = [sys.executable, "-m", "pip_audit", "--requirement", file.name]
        command += ["--no-deps", "--disable-pip", "--format", "json"]
        command += ["--progress-spinner", "off", "--timeout", str(CONNECT_SECONDS)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Away(f"PyPI did not answer within {seconds:g} s.") from None
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        if "No module named" in done.stderr:  # a fault of the machine, not of the network
            raise RuntimeError(done.stderr.strip()) from None
        raise Away((done.stderr.strip() or "pip-audit said nothing.").splitlines()[-1]) from None
    return report


def audit(today: date) -> Verdict:
    """The verdict on all that is pinned. Raises Away."""
    pinned = pins([(ROOT / name).read_text() for name in PINNED])
    allowed = exemptions(ALLOWED.read_text())
    verdict(audited({PROBE: pinned[canonical(PROBE)]}), [], today)
    return verdict(audited(pinned), allowed, today)


def ages(today: date) -> list[tuple[int, str]]:
    """(32, "Django==5.2.19") for each pin of ours, in days, the longest unchanged first.

    From the history of this folder; empty where there is none.
    """
    found = []
    for name in PINNED[:2]:
        command = ["git", "blame", "--line-porcelain", "--", name]
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return []
        for block in re.split(r"(?m)^(?=[0-9a-f]{40} )", done.stdout):
            changed, pin = (
                re.search(r"(?m)^committer-time (\d+)$", block),
                block.rpartition("\t")[2],
            )
            if changed and PIN.match(pin):
                day = datetime.fromtimestamp(int(changed[1]), UTC).date()
                found.append(((today - day).days, pin.split("#")[0].strip()))
    return sorted(found, key=lambda each: -each[0])


def main() -> int:
    """The exit status: 1 where a release mends what is known, 0 also where PyPI is away."""
    today = datetime.now(UTC).date()
    try:
        said = audit(today)
    except Away as reason:
        print(f"Not audited, PyPI's list of vulnerabilities can't be had: {reason}")
        print("Run `make audit` where it can be. Until then, the pins unchanged for longest:")
        oldest = [f"{days} days: {pin}" for days, pin in ages(today)[:OLDEST]]
        for line in oldest or ["unknown, since this folder has no git history"]:
            print(f"  {line}")
        return 0
    for line in said.remarks:
        print(f"  {line}")
    for line in said.failures:
        print(f"! {line}")
    print(f"{len(said.failures)} to mend: raise the pin." if said.failures else "Nothing to mend.")
    return 1 if said.failures else 0


if __name__ == "__main__":
    sys.exit(main())
