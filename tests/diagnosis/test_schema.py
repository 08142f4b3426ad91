"""What a rule file may hold: each fault with its line, its column and the word that was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.diagnosis.rule import Condition, Example, Fix
from analyzer.errors import RulesError
from tests.diagnosis.toy import read, write

GOOD = "[fires: {connection.up: true}, silent: {}]"
FAULTS: list[tuple[dict[str, str | None], int, int, str]] = [
    ({"wehn": "|\n  true"}, 10, 1, "unknown key 'wehn' (did you mean 'when'?)"),
    ({"title": None}, 1, 1, "the key 'title' is missing"),
    ({"examples": None}, 1, 1, "the key 'examples' is missing"),
    ({"when": None}, 1, 1, "the key 'when' is missing"),
    ({"slug": "other"}, 1, 7, "the slug 'other' is not the file's name 'a-rule'"),
    ({"slug": "Bad_Slug"}, 1, 7, "'Bad_Slug' is no slug"),
    ({"code": "301"}, 2, 7, "code is text: write '301' in quotes"),
    ({"code": "neg301"}, 2, 7, "'neg301' is no code"),
    ({"title": "5"}, 4, 8, "title is text: write '5' in quotes"),
    ({"title": "''"}, 4, 9, "title is text, and not empty"),
    ({"severity": "eror"}, 3, 11, "'eror' is none of error, warning, info (did you mean 'error'?)"),
    ({"role": "reason"}, 10, 7, "'reason' is none of cause, warning, limit"),
    ({"role": "[cause]"}, 10, 7, "'that' is none of cause, warning, limit"),
    ({"outcome": "unused"}, 10, 10, "'unused' is none of failed, no-connection, not-smb, the outcome of a cause"),
    ({"role": "warning", "outcome": "failed"}, 11, 10, "'failed' is none of unused, the outcome of a warning"),
    ({"role": "limit", "cause_when": "|\n  true"}, 11, 1, "a limit of the capture is never a cause"),
    ({"confidence": "likely", "likely_when": "|\n  true"}, 11, 1, "confidence is 'likely' already"),
    ({"severity": "warning", "warning_when": "|\n  true"}, 10, 1, "only the error of a cause becomes a warning"),
    ({"beside_cause": "true"}, 10, 1, "only a warning stands beside a cause or does not"),
    ({"role": "warning", "beside_cause": "perhaps"}, 11, 15, "beside_cause is true or false"),
    ({"hints": "[x]"}, 10, 9, "a hint is a mapping of name, when and text"),
    ({"hints": "[{name: a, text: b}]"}, 10, 9, "the hint has no 'when'"),
    ({"hints": "[{name: A, text: b, when: connection.up}]"}, 10, 16, "'A' is no name of its own"),
    ({"hints": "[{name: a, text: '{x}', when: connection.up}]"}, 10, 27, "unknown fact 'x' in the text"),
    ({"hints": "[{name: a, text: b, when: connection.upp}]"}, 10, 34, "unknown name 'connection.upp'"),
    ({"hints": "[{name: a, text: b, when: connection.up, of: c}]"}, 10, 49, "unknown key 'of'"),
    ({"explains": "other"}, 10, 11, "explains is a list"),
    ({"explains": "[[x]]"}, 10, 12, "explains is a list of words"),
    ({"evidence": "[request, reponse]"}, 10, 21, "unknown frame 'reponse' (did you mean 'response'?)"),
    ({"when": "|\n  connection.up\n    && conection.refused"}, 7, 8,
     "unknown name 'conection.refused' (did you mean 'connection.refused'?)"),
    ({"when": "|\n  response.smb2.nt_status == 'x'"}, 6, 27, "found no matching overload for '_==_'"),
    ({"when": "|\n  connection.up &&"}, 6, 19, "Syntax error: the condition ends too early"),
    ({"when": "|\n  response.smb2.nt_status"}, 6, 3, "a condition is true or false, this is int"),
    ({"when": "|\n  connection.server == 'x'"}, 6, 3, "'connection.server' is for summaries only"),
    ({"when": "connection.upp"}, 5, 7, "unknown name 'connection.upp'"),
    ({"when": ">\n  connection.up\n  && connection.refused"}, 5, 7, "when must be a literal block (|)"),
    ({"when": "connection.up\n  && connection.refused"}, 5, 7, "when must be a literal block (|)"),
    ({"when": "[connection.up]"}, 5, 7, "when is a condition in CEL"),
    ({"info_when": "|\n  nothing"}, 11, 3, "unknown name 'nothing'"),
    ({"summary": "'{connection.sever} said'"}, 7, 12,
     "unknown fact 'connection.sever' in the text (did you mean 'connection.server'?)"),
    ({"summary": "|\n  first\n  {x} second"}, 9, 4, "unknown fact 'x' in the text"),
    ({"summary": "'a {connection.up'"}, 7, 13, "a single '{'"),
    ({"summary": "'a {}'"}, 7, 13, "empty placeholder"),
    ({"sees": "[x]"}, 10, 7, "sees is a mapping of platforms to texts"),
    ({"sees": "{Mac OS: x}"}, 10, 8, "'Mac OS' is no platform"),
    ({"sees": "{macos: 5}"}, 10, 15, "sees.macos is text: write '5' in quotes"),
    ({"fix": "[raise it]"}, 10, 7, "a fix is a mapping of side, platform, text and command"),
    ({"fix": "[{side: sever, text: x}]"}, 10, 14, "'sever' is none of client, server, network, capture (did you mean 'server'?)"),
    ({"fix": "[{text: x}]"}, 10, 7, "the fix has no 'side'"),
    ({"fix": "[{side: client, comand: x, text: y}]"}, 10, 22, "unknown key 'comand' (did you mean 'command'?)"),
    ({"examples": "[]"}, 9, 1, "no example in which the rule fires"),
    ({"examples": "[fires: {connection.up: true}]"}, 9, 1, "no 'silent' example"),
    ({"examples": "[silent: {}]"}, 9, 1, "no example in which the rule fires"),
    ({"examples": "[fires: {connection.upp: true}, silent: {}]"}, 9, 20,
     "unknown fact 'connection.upp' (did you mean 'connection.up'?)"),
    ({"examples": "[fires: {connection.up: yes}, silent: {}]"}, 9, 35, "connection.up is bool"),
    ({"examples": "[fires: {response.smb2.nt_status: true}, silent: {}]"}, 9, 45, "response.smb2.nt_status is int"),
    ({"examples": "[fires: {response.smb2.nt_status: 0x8000000000000000}, silent: {}]"}, 9, 45,
     "response.smb2.nt_status is int"),
    ({"examples": "[fires: {request.smb2.dialect: [1, x]}, silent: {}]"}, 9, 42, "request.smb2.dialect is list<int>"),
    ({"examples": "[fires: {request.smb2.dialect: 1}, silent: {}]"}, 9, 42, "request.smb2.dialect is list<int>"),
    ({"examples": "[fires: 1, silent: {}]"}, 9, 19, "fires is a mapping of facts to values"),
    ({"examples": "[{fires: {}, silent: {}}, silent: {}]"}, 9, 12, "an example has one of the keys"),
    ({"examples": "[x, silent: {}]"}, 9, 12, "an example has one of the keys"),
    ({"examples": "[{fires: {}, confidence: sure}, silent: {}]"}, 9, 36, "'sure' is none of proven, likely"),
    ({"examples": "[{capture: a.pcap, frames: [x]}, silent: {}]"}, 9, 38, "frames is a list of frame numbers"),
    ({"examples": "[{capture: a.pcap, ports: [0]}, silent: {}]"}, 9, 37, "ports is a list of TCP ports"),
    ({"examples": "[{fires: {}, hints: [a]}, silent: {}]"}, 9, 32, "unknown hint 'a'"),
    ({"examples": "[{capture: a.pcap, stream: x}, silent: {}]"}, 9, 38, "stream is a number"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "line", "column", "problem"), FAULTS)
def test_a_fault_is_named_with_its_place(
    tmp_path: Path, keys: dict[str, str | None], line: int, column: int, problem: str
) -> None:
    slug = keys.get("slug") or "a-rule"
    path = write(tmp_path, **{"slug": "a-rule", "code": "TOY100", **keys})
    path = path.rename(tmp_path / "a-rule.yaml") if slug != "a-rule" else path
    with pytest.raises(RulesError) as caught:
        read(builtin=tmp_path)
    assert str(caught.value.errors[0]).startswith(f"{path}:{line}:{column}: {problem}"), str(caught.value)


def test_all_faults_of_all_files_come_at_once(tmp_path: Path) -> None:
    write(tmp_path, "one", "TOY100", severity="worst", title="7")
    write(tmp_path, "two", "TOY200", when="|\n  a == b")
    (tmp_path / "three.yaml").write_bytes(b"a: {")
    with pytest.raises(RulesError) as caught:
        read(builtin=tmp_path)
    found = [(Path(e.file).name, e.problem.split(" ")[0]) for e in caught.value.errors]
    assert found == [
        ("one.yaml", "'worst'"), ("one.yaml", "title"), ("three.yaml", "not"),
        ("two.yaml", "unknown"), ("two.yaml", "unknown"),
    ]  # fmt: skip
    assert len(str(caught.value).splitlines()) == 5


def test_a_good_file_is_a_rule_with_its_examples() -> None:
    loaded = read()
    refused = loaded.rules[0]
    assert (refused.slug, refused.code, refused.severity, refused.role) == (
        "refused",
        "TOY101",
        "error",
        "cause",
    )
    assert (refused.outcome, refused.confidence) == ("no-connection", "proven")
    assert refused.when == Condition("connection.refused && !connection.up\n", 7, 3)
    assert refused.fix == (
        Fix("server", "windows", "Start the Server service.", "Start-Service LanmanServer"),
        Fix("network", "any", "Look at the firewall.", None),
    )
    assert refused.sees == (("windows", "System error 53"), ("macos", "unknown"))
    assert refused.evidence == ("syn", "reset")
    examples = loaded.examples["refused"]
    assert [example.expects for example in examples] == ["fires", "fires", "silent", "silent", "silent"]
    assert examples[1].severity == "info"
    capture = loaded.examples["no-common-dialect"][-1]
    assert capture == Example("capture", {}, "no-common-dialect.pcap", (13, 15), 0, None, None, 31)
    merged = loaded.examples["no-common-dialect"][1]
    assert merged.facts == {
        "request.smb2.dialect": [0x0202], "response.smb2.nt_status": 0xC00000BB, "connection.broke": True,
    }  # fmt: skip
