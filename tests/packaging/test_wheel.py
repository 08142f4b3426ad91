"""What is installed: one top-level name, all rules, their index, the typing marker, the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A folder with the sdist and, made from the sdist as pip makes it, the wheel."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder)], check=True, cwd=root,
        capture_output=True)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], check=True, cwd=source,
        capture_output=True)
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> zipfile.ZipFile:
    (path,) = built.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: zipfile.ZipFile) -> Path:
    folder = tmp_path_factory.mktemp("site")
    wheel.extractall(folder)
    return folder


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The installed package, started outside the checkout."""
    return subprocess.run(
        [sys.executable, "-m", "analyzer", *arguments], cwd=installed.parent, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(installed)}, check=False)


def test_only_analyzer_is_importable(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"analyzer"}


def test_every_rule_file_and_the_index_of_all_are_inside(wheel: zipfile.ZipFile, root: Path) -> None:
    rules = sorted(path.name for path in (root / "rules").glob("*.yaml"))
    inside = [name.removeprefix("analyzer/rules/") for name in wheel.namelist() if name.startswith("analyzer/rules/")]
    assert sorted(inside) == sorted([*rules, "index.json"])
    assert len(json.loads(wheel.read("analyzer/rules/index.json"))["rules"]) == len(rules) > 0


def test_types_and_licence_are_inside(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "analyzer/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_command_is_negdiag(wheel: zipfile.ZipFile) -> None:
    (entry,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert wheel.read(entry).decode().split() == ["[console_scripts]", "negdiag", "=", "analyzer.cli.main:program"]


def test_the_installed_package_has_all_rules(installed: Path, root: Path) -> None:
    done = run(installed, "rules", "--format", "json")
    assert done.returncode == 0, done.stderr
    listed = {rule["slug"] for rule in json.loads(done.stdout)}
    assert listed == {path.stem for path in (root / "rules").glob("*.yaml")}


def test_the_installed_package_diagnoses_a_sample(installed: Path, samples: Path) -> None:
    done = run(installed, str(samples / "no-common-dialect.pcap"), "--format", "json")
    assert done.returncode == 0, done.stderr
    (capture,) = json.loads(done.stdout)["captures"]
    assert [found["causes"] for found in capture["connections"]] == [["no-common-dialect"]]
