"""System packages: what is said where they can't be installed, and how apt-get is called."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from config.services import install
from config.services.engine import EngineError

GONE = install.Tool("Gadget", ("no-such-gadget",), "gadget")


@pytest.fixture
def as_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Root on a Debian whose lock and policy are in a folder of the test's; returns the policy."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name, path=None: f"/usr/bin/{name}")
    monkeypatch.setattr(install, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(install, "POLICY", tmp_path / "policy-rc.d")
    return tmp_path / "policy-rc.d"


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install.Tool, "find", lambda self: None)


def test_what_is_there_is_not_installed() -> None:
    install.ensure([install.Tool("Shell", ("sh",), "dash")])


def test_without_root_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(EngineError, match=r"Gadget.*sudo apt-get install .* gadget"):
        install.ensure([GONE])


def test_a_missing_program_names_the_command() -> None:
    with pytest.raises(EngineError, match=r"Gadget is missing.*apt-get install .* gadget"):
        GONE.require()


def test_no_server_is_started_by_apt_and_the_policy_goes_again(
    as_root: Path, missing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Sequence[str], str]] = []

    def apt_get(*arguments: str) -> None:
        seen.append((arguments, as_root.read_text()))

    monkeypatch.setattr(install, "_apt_get", apt_get)
    with pytest.raises(EngineError, match="installed no no-such-gadget"):
        install.ensure([GONE])
    assert [arguments[0] for arguments, _ in seen] == ["update", "install"]
    assert seen[1][0][-1] == "gadget"
    assert all(policy.endswith("exit 101\n") for _, policy in seen)
    assert not as_root.exists()


def test_the_policy_goes_when_apt_fails(
    as_root: Path, missing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apt_get(*arguments: str) -> None:
        raise EngineError("apt-get failed")

    monkeypatch.setattr(install, "_apt_get", apt_get)
    with pytest.raises(EngineError, match="apt-get failed"):
        install.ensure([GONE])
    assert not as_root.exists()


def test_a_policy_of_the_machine_stays(
    as_root: Path, missing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_root.write_text("#!/bin/sh\nexit 0\n")
    monkeypatch.setattr(install, "_apt_get", lambda *arguments: None)
    with pytest.raises(EngineError):
        install.ensure([GONE])
    assert as_root.read_text() == "#!/bin/sh\nexit 0\n"
