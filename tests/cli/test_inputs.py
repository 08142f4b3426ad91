from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from analyzer.cli.inputs import captures_of
from analyzer.errors import UsageError

PCAP = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000".replace(" ", ""))
PCAPNG = bytes.fromhex("0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Captures, other files, and links."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "inner").write_bytes(PCAPNG)
    (tmp_path / "a.pcap").write_bytes(PCAP)
    (tmp_path / "c.bin.gz").write_bytes(gzip.compress(PCAP))
    (tmp_path / "notes.txt").write_text("no capture")
    (tmp_path / "other.gz").write_bytes(gzip.compress(b"no capture"))
    (tmp_path / "empty.PCAPNG.zst").write_bytes(b"")
    (tmp_path / "z.etl").write_bytes(b"not this either")
    return tmp_path


def below(folder: Path, *names: str) -> list[str]:
    return [str(folder.joinpath(*name.split("/"))) for name in names]


def test_a_folder_is_searched_by_content_in_order_of_names(folder: Path) -> None:
    found = captures_of([str(folder)])
    assert [name for name, _ in found.captures] == below(
        folder, "a.pcap", "b/inner", "c.bin.gz", "empty.PCAPNG.zst", "z.etl"
    )
    assert list(found.passed) == below(folder, "notes.txt", "other.gz")


def test_links_to_folders_are_not_followed_and_links_to_files_are(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "b"
    try:
        (root / "loop").symlink_to(folder, target_is_directory=True)
        (root / "link.pcap").symlink_to(folder / "a.pcap")
        (root / "nowhere.pcap").symlink_to(folder / "missing")
    except OSError:
        pytest.skip("links cannot be made here")
    found = captures_of([str(root)])
    assert [Path(name).name for name, _ in found.captures] == ["inner", "link.pcap", "nowhere.pcap"]


def test_what_is_given_keeps_its_order_and_its_name() -> None:
    found = captures_of(["z.pcap", "-", "./a.pcap", "z.pcap"])
    assert [name for name, _ in found.captures] == ["z.pcap", "-", "./a.pcap", "z.pcap"]


def test_a_folder_that_is_not_there_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="no such folder"):
        captures_of(["nowhere/"])


def test_standard_input_is_read_once() -> None:
    with pytest.raises(UsageError, match="only once"):
        captures_of(["-", "-"])


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"a.pcap\nb c.pcap\r\n\n", ["a.pcap", "b c.pcap"]),
        (b"\xef\xbb\xbfa.pcap", ["a.pcap"]),
        (b"a\nb.pcap\0c.pcap\0", ["a\nb.pcap", "c.pcap"]),
        (b"", []),
    ],
)
def test_paths_from_a_file(tmp_path: Path, data: bytes, names: list[str]) -> None:
    listing = tmp_path / "paths"
    listing.write_bytes(data)
    assert [name for name, _ in captures_of([], str(listing)).captures] == names


def test_a_list_that_cannot_be_read_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--files-from"):
        captures_of([], str(tmp_path / "missing"))
