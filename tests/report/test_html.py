"""The page as a file: self-contained, harmless whatever a capture holds, and with no figure that JSON lacks."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import analyzer
from analyzer.cli.main import main

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
VOID = {"meta", "input", "br"}


class Page(HTMLParser):
    """The page as a browser would take it apart, as far as these tests ask."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": [], "text": [], "code": []}
        self._open: list[str] = []
        self.source = path.read_text("utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
            if tag in self.inside:
                self.inside[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.inside:
            self.inside[self._open[-1]][-1] += data

    @property
    def data(self) -> Any:
        return json.loads(self.inside["script"][0])

    def of(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.tags if name == tag and attributes.items() <= found.items()]


def both(path: Path, folder: Path) -> tuple[Page, Any]:
    main(["-q", str(path), "-o", str(folder / "r.html"), "-o", str(folder / "r.json")])
    return Page(folder / "r.html"), json.loads((folder / "r.json").read_text("utf-8"))


def connections(document: Any) -> list[Any]:
    return [connection for capture in document["captures"] for connection in capture["connections"]]


@pytest.fixture(scope="module")
def everything(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, Any]:
    return both(samples, tmp_path_factory.mktemp("html"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, Any]:
    pytest.importorskip("scapy", reason="the hostile capture is made with scapy")
    from tests import hostile as made

    folder = tmp_path_factory.mktemp("hostile")
    return both(made.write(folder), folder)


def test_nothing_is_loaded_and_nothing_runs_but_its_own_script(everything: tuple[Page, Any]) -> None:
    page, _ = everything
    outward = {"src", "srcset", "action", "formaction", "background", "poster", "data", "xlink:href", "ping"}
    for tag, attributes in page.tags:
        assert not outward & attributes.keys(), tag
        assert (attributes.get("href") or "#").startswith("#")
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert not {"img", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    assert "url(" not in page.inside["style"][0]
    assert "@import" not in page.inside["style"][0]


def test_the_policy_names_exactly_this_script_and_this_style(everything: tuple[Page, Any]) -> None:
    page, _ = everything
    (meta,) = page.of("meta", **{"http-equiv": "Content-Security-Policy"})
    policy = dict(part.strip().split(" ", 1) for part in (meta["content"] or "").split(";"))

    def named(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == named(page.inside["script"][1])
    assert policy["style-src"] == named(page.inside["style"][0])
    assert [script.get("type") for script in page.of("script")] == ["application/json", None]


def test_hostile_texts_stay_texts(hostile: tuple[Page, Any]) -> None:
    page, document = hostile
    assert "window.pwned=1</script>" in json.dumps(document)
    assert [script.get("type") for script in page.of("script")] == ["application/json", None]
    assert not page.of("img")
    assert not [tag for tag, attributes in page.tags if any(name.startswith("on") for name in attributes)]
    assert not CONTROLS.search(page.source.replace("\n", ""))
    assert "<!--" not in page.source
    assert "{{ 7 * 191 }}{% raw %}" in page.source


def test_hostile_texts_are_shown(hostile: tuple[Page, Any]) -> None:
    page, _ = hostile
    shown = page.data["texts"] + page.data["names"] + page.data["dialects"]
    assert any("</script><script>window.pwned=1</script>" in text for text in shown)
    assert any(r"\x1b[31m\x07\x9b\u202eevil\u2028" in text for text in shown)


def test_the_table_holds_what_json_says(everything: tuple[Page, Any]) -> None:
    page, document = everything
    data = page.data
    columns = data["columns"]
    wanted = connections(document)
    assert len(wanted) == data["total"] == len(columns["stream"])
    for row, connection in enumerate(wanted):
        host = data["clients"][columns["client"][row]]
        host = f"[{host}]" if ":" in host else host
        assert f"{host}:{columns['port'][row]}" == connection["client"]
        assert data["servers"][columns["server"][row]] == connection["server"]
        assert columns["stream"][row] == connection["tcp.stream"]
        assert data["outcomes"][columns["outcome"][row]][0] == connection["outcome"]
        assert data["slugs"][columns["causes"][row]].split() == connection["causes"]
        assert data["slugs"][columns["warnings"][row]].split() == connection["warnings"]
        took = columns["took"][row]
        assert (took is None) == (connection["response_time"] is None)
        assert took is None or took == pytest.approx(connection["response_time"] * 1e6, abs=0.001)
        assert (columns["first"][row], columns["last"][row]) == (
            connection["frames"]["first"], connection["frames"]["last"])
        findings = [
            (*data["rules"][rule][:3], data["texts"][text]) for rule, _, text in columns["findings"][row]
        ]
        assert findings == [
            (f["rule"], f["code"], f["severity"], f["display_filter"]) for f in connection["findings"]]


def test_the_ladders_hold_what_json_says(everything: tuple[Page, Any]) -> None:
    page, document = everything
    data = page.data
    for ladder, connection in zip(data["columns"]["ladder"], connections(document), strict=True):
        _, times, frames, texts = ladder
        events = connection["events"]
        assert frames == [event["frame"] for event in events if event["frame"] is not None]
        seconds = [event["seconds"] for event in events if event["seconds"] is not None]
        assert [time / 1e6 for time in times] == pytest.approx(seconds, abs=1.1e-6)
        labels = iter(data["texts"][text] for text in texts)
        for event in events:
            if event["kind"] != "gap":
                assert event["label"] in labels          # in this order, with pauses and details between


def test_the_offers_hold_what_json_says(everything: tuple[Page, Any]) -> None:
    page, document = everything
    data = page.data
    for number, connection in zip(data["columns"]["comparison"], connections(document), strict=True):
        lines = [] if number < 0 else data["comparisons"][number]
        assert [line[0].lower().replace(" ", "_") for line in lines] == list(connection["offer"])
        for at, kind in enumerate(("offer", "answer", "agreed"), 1):
            assert [line[at] for line in lines] == list(connection[kind].values())
        differing = [line[0].lower().replace(" ", "_") for line in lines if line[4]]
        assert differing == connection["mismatches"]


def test_every_filter_that_can_be_copied_is_in_json(everything: tuple[Page, Any]) -> None:
    page, document = everything
    filters = {f["display_filter"] for connection in connections(document) for f in connection["findings"]}
    printed = {text for text in page.inside["code"] if text.startswith("tcp.stream")}
    assert printed
    assert printed <= filters


def test_the_counts_are_those_of_json(everything: tuple[Page, Any]) -> None:
    page, document = everything
    start = page.source.index('<ul class="counts"')
    counts = re.findall(r'<li class="o-([a-z-]+)"><b>([\d,]+)</b>', page.source[start : page.source.index("</ul>", start)])
    outcomes = [connection["outcome"] for connection in connections(document)]
    assert {name: int(count.replace(",", "")) for name, count in counts} == {name: outcomes.count(name) for name in set(outcomes)}


def test_a_failed_connection_has_its_card(samples: Path, tmp_path: Path) -> None:
    page, document = both(samples / "no-common-dialect.pcap", tmp_path)
    (connection,) = connections(document)
    finding = connection["findings"][0]
    assert finding["display_filter"] in page.inside["code"]
    for fix in finding["fix"]:
        if fix["command"]:
            assert fix["command"].rstrip("\n") in page.inside["code"]
    assert len(page.of("svg")) == 2                      # in its card, and as a shape for the table
    assert page.of("tr", **{"class": "differs"})
    assert "What the user sees" in page.source


def test_a_capture_without_smb(samples: Path, tmp_path: Path) -> None:
    page, _ = both(samples / "alternative-port.pcap", tmp_path)
    assert "Nothing to diagnose" in page.source
    assert not page.of("table")


def test_an_unreadable_capture(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(b"no capture")
    page, document = both(tmp_path / "a.pcap", tmp_path)
    assert document["captures"][0]["error"] in page.source


def test_several_captures_are_named_without_their_folder(everything: tuple[Page, Any], samples: Path) -> None:
    page, document = everything
    assert page.data["captures"] == [Path(capture["capture"]).name for capture in document["captures"]]


def test_the_same_input_gives_the_same_page(samples: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        main(["-q", str(samples / "gap-response.pcap"), "-o", str(tmp_path / f"{name}.html")])
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_from_python(samples: Path, tmp_path: Path) -> None:
    path = samples / "server-reset.pcap"
    analyzer.analyze(path).to_html(tmp_path / "from-python")
    main(["-q", str(path), "-o", str(tmp_path / "from-command.html")])
    assert (tmp_path / "from-python").read_bytes() == (tmp_path / "from-command.html").read_bytes()


def test_every_lab_page_is_small(lab: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted(lab.glob("*.pcap*"))):
        analyzer.analyze(path).to_html(tmp_path / f"{number}.html")
        assert (tmp_path / f"{number}.html").stat().st_size < 300_000, path.name
