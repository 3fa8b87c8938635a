"""What is pinned has no known vulnerability that a release mends."""

import subprocess
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from config import audit

TODAY = date(2026, 11, 22)
EXEMPTION = audit.Exemption("Lamp", "CVE-1", TODAY, "We never switch it on.")


def report(*vulns: dict[str, Any]) -> dict[str, Any]:
    """What pip-audit writes of a `lamp` with these, and of a package without any."""
    fine = {"name": "oil", "version": "2", "vulns": []}
    return {"dependencies": [{"name": "lamp", "version": "1.0", "vulns": [*vulns]}, fine]}


def vuln(*fixes: str) -> dict[str, Any]:
    return {"id": "GHSA-1", "aliases": ["CVE-1"], "fix_versions": list(fixes), "description": "x"}


def test_nothing_known_mends_itself_by_a_newer_release():
    """The real thing; where the list can't be had, pins that were long left alone are a failure."""
    today = datetime.now(UTC).date()
    try:
        said = audit.audit(today)
    except audit.Away as reason:
        old = [pin for days, pin in audit.ages(today) if days > audit.MOST_DAYS]
        assert old == [], "raise them, or run this where PyPI can be asked"
        pytest.skip(f"PyPI's list of vulnerabilities can't be had: {reason}")
    assert said.failures == [], "raise the pins, or see config/audit_allowed.toml"


def test_pip_audit_takes_what_we_ask_it():
    assert audit.audited({}) == {"dependencies": [], "fixes": []}


def test_all_that_is_pinned_is_audited():
    pinned = audit.pins([(audit.ROOT / name).read_text() for name in audit.PINNED])
    assert {"django", "celery", "pip-audit", "kombu", "urllib3"} <= pinned.keys()
    assert audit.pins(["a==1\nB_c[x,y]==2.0  # why\n# d==3\n-r e.txt\n"]) == {
        "a": "1",
        "b-c": "2.0",
    }


def test_ages_of_pins_count_from_the_change_that_made_them():
    command = ["git", "blame", "requirements.txt"]
    listed = subprocess.run(command, cwd=audit.ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this folder has no git history")
    found = audit.ages(datetime.now(UTC).date() + timedelta(days=1000))
    assert "django" in audit.pins([pin for _, pin in found])
    days = [days for days, _ in found]
    assert min(days) >= 999 and days == sorted(days, reverse=True)


@pytest.mark.parametrize(
    ("found", "allowed", "failures", "remarks"),
    [
        ([], [], [], []),
        ([vuln("1.1", "2.0")], [], ["lamp 1.0: CVE-1, GHSA-1, mended in 1.1, 2.0"], []),
        ([vuln()], [], [], ["lamp 1.0: CVE-1, GHSA-1, no release mends it yet"]),
        (
            [vuln("1.1")],
            [EXEMPTION],
            [],
            ["lamp 1.0: CVE-1, GHSA-1, allowed until 2026-11-22: We never switch it on."],
        ),
        (
            [],
            [EXEMPTION],
            [],
            ["config/audit_allowed.toml: CVE-1 of Lamp is not found any more, remove it"],
        ),
    ],
)
def test_what_a_report_comes_to(found, allowed, failures, remarks):
    assert audit.verdict(report(*found), allowed, TODAY) == audit.Verdict(failures, remarks)


def test_an_exemption_ends_and_is_for_its_package():
    ended = audit.verdict(report(vuln("1.1")), [EXEMPTION], date(2026, 11, 23))
    assert "allowed only until 2026-11-22" in ended.failures[0]
    other = audit.Exemption("oil", "CVE-1", TODAY, "Another one.")
    assert audit.verdict(report(vuln("1.1")), [other], TODAY).failures


def test_a_mirror_that_knows_no_vulnerabilities_is_not_taken_for_good_news():
    left_out = {"name": "lamp", "skip_reason": "not found on PyPI"}
    with pytest.raises(audit.Away, match="not found"):
        audit.verdict({"dependencies": [left_out]}, [], TODAY)
    mixed = {"dependencies": [left_out, {"name": "oil", "version": "2", "vulns": []}]}
    assert "not audited" in audit.verdict(mixed, [], TODAY).remarks[0]


def test_exemptions_have_a_reason_and_an_end():
    text = '[[allowed]]\npackage = "Lamp"\nid = "CVE-1"\nuntil = 2026-11-22\n'
    whole = f'{text}reason = "We never switch it on."\n'
    assert audit.exemptions(whole) == [EXEMPTION]
    assert audit.exemptions(audit.ALLOWED.read_text()) is not None
    for wrong in (text, f'{text}reason = " "\n', whole.replace("2026-11-22", '"for ever"')):
        with pytest.raises(ValueError):
            audit.exemptions(wrong)
