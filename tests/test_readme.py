"""README.md shows what the program prints, and its two commands are there."""

from __future__ import annotations

from pathlib import Path

from tests.readme import renewed


def test_sessions_and_table_are_what_the_program_prints(root: Path) -> None:
    text = (root / "README.md").read_text("utf-8")
    assert renewed(text) == text, "run: python -m tests.readme"


def test_two_commands_install_and_use_it(root: Path) -> None:
    lines = (root / "README.md").read_text("utf-8").splitlines()
    commands = [line for line in lines if line.startswith("python3 -m venv ")]
    assert [command.rsplit(" && ", 1)[1] for command in commands] == [
        ".venv/bin/negdiag sample_pcaps/no-common-dialect.pcap", ".venv/bin/python -m pytest"]


def test_every_file_it_links_to_exists(root: Path) -> None:
    for name in ("CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "sample_pcaps/README.md"):
        assert (root / name).is_file(), name
