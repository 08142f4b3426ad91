"""Where tests find captures and programs; each absent one skips with its reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "captures"


def _folder(path: Path) -> Path:
    if not path.is_dir():
        pytest.skip(f"needs the capture collection {path.name}/ beside the repository")
    return path


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def samples() -> Path:
    """sample_pcaps/ of the checkout."""
    return ROOT / "sample_pcaps"


@pytest.fixture(scope="session")
def lab() -> Path:
    """Captures between real peers, with labels.json."""
    return _folder(SHARED / "lab")


@pytest.fixture(scope="session")
def public() -> Path:
    """Captures of public test suites, each with what Wireshark reads from it."""
    return _folder(SHARED / "public")


@pytest.fixture(scope="session")
def tshark() -> str:
    """The path of tshark."""
    path = shutil.which("tshark")
    if path is None:
        pytest.skip("needs tshark")
    return path
