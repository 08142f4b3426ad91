from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from analyzer.diagnosis.engine import Finding
from analyzer.diagnosis.loader import language_of
from analyzer.diagnosis.selftest import Diagnosed, Outcome, run_examples
from analyzer.errors import CaptureError
from tests.diagnosis.toy import FACTS, RULES, read, write

LANGUAGE = language_of(FACTS)


def _run(folder: Path, **keys: str) -> Outcome:
    write(folder, "mine", "TOY700", **keys)
    loaded = read(builtin=folder)
    return run_examples(loaded.rules, loaded.examples, LANGUAGE)


def test_good_examples_pass_and_captures_wait_for_somebody_to_read_them() -> None:
    loaded = read()
    outcome = run_examples(loaded.rules, loaded.examples, LANGUAGE)
    assert (outcome.passed, outcome.failures, len(outcome.skipped)) == (14, (), 1)


FAILING = [
    ({"examples": "[fires: {connection.up: false}, silent: {}]"}, "expected is a cause, but it is silent"),
    ({"examples": "[fires: {}, silent: {}]"},
     "expected is a cause, but it is silent (when: connection.up is unknown)"),
    ({"examples": "[fires: {connection.up: true}, silent: {connection.up: true}]"},
     "expected is silent, but it is a cause"),
    ({"role": "warning", "examples": "[candidate: {connection.up: true}, silent: {}]"},
     "expected is a candidate, but it is a warning"),
    ({"cause_when": "|\n  connection.broke", "examples": "[fires: {connection.up: true}, silent: {}]"},
     "expected is a cause, but it is a warning (cause_when: connection.broke is unknown)"),
    ({"candidate_when": "|\n  connection.broke",
      "examples": "[fires: {connection.up: true}, silent: {connection.up: false, connection.broke: true}]"},
     "expected is silent, but it is a candidate"),
    ({"likely_when": "|\n  connection.broke",
      "examples": "[fires: {connection.up: true, connection.broke: true}, silent: {}]"},
     "expected confidence proven, but it is likely"),
    ({"examples": "[{fires: {connection.up: true}, confidence: likely}, silent: {}]"},
     "expected confidence likely, but it is proven"),
    ({"info_when": "|\n  connection.broke",
      "examples": "[fires: {connection.up: true, connection.broke: true}, silent: {}]"},
     "expected severity error, but it is info"),
    ({"role": "warning", "examples": "[{fires: {connection.up: true}, severity: info}, silent: {}]"},
     "expected severity info, but it is warning"),
    ({"when": "|\n  request.smb2.dialect[1] == 1",
      "examples": "[fires: {request.smb2.dialect: [1, 1]}, silent: {request.smb2.dialect: [1]}]"},
     "when cannot be evaluated: UNKNOWN: Index error: index=1 size=1"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "problem"), FAILING)
def test_a_failing_example_says_why(tmp_path: Path, keys: dict[str, str], problem: str) -> None:
    outcome = _run(tmp_path, **keys)
    assert [failure.problem for failure in outcome.failures] == [problem]
    assert outcome.failures[0].line == next(
        number
        for number, line in enumerate((tmp_path / "mine.yaml").read_text().splitlines(), start=1)
        if line.startswith("examples")
    )


def _finding(*frames: int) -> Finding:
    return Finding("mine", "TOY700", "error", "", (), frames, "", "")


CAPTURES = [
    ("[{capture: a.pcap}, silent: {}]", None),
    ("[{capture: a.pcap, frames: [5, 3], stream: 2}, silent: {}]", None),
    ("[{capture: a.pcap, frames: [3]}, silent: {}]",
     "a.pcap: expected frames [3], but stream 2 has it with frames [3, 5]"),
    ("[{capture: a.pcap, stream: 1}, silent: {}]", "a.pcap: stream 1: no such finding"),
    ("[{capture: b.pcap}, silent: {}]", "no capture b.pcap"),
]  # fmt: skip


@pytest.mark.parametrize(("examples", "problem"), CAPTURES)
def test_a_capture_must_show_the_finding(tmp_path: Path, examples: str, problem: str | None) -> None:
    rules, samples = tmp_path / "rules", tmp_path / "sample_pcaps"
    rules.mkdir()
    samples.mkdir()
    (samples / "a.pcap").write_bytes(b"")
    write(rules, "mine", "TOY700", examples=examples)
    loaded = read(builtin=rules)
    read_paths: list[Path] = []

    def diagnose(path: Path, _: tuple[int, ...]) -> Iterable[Diagnosed]:
        read_paths.append(path)
        return [Diagnosed(1, []), Diagnosed(2, [_finding(3, 5)])]

    outcome = run_examples(loaded.rules, loaded.examples, LANGUAGE, diagnose)
    assert [failure.problem for failure in outcome.failures] == ([problem] if problem else [])
    assert read_paths in ([], [samples / "a.pcap"])


def test_where_no_captures_are_shipped_their_examples_are_skipped(tmp_path: Path) -> None:
    write(tmp_path, "mine", "TOY700", examples="[{capture: a.pcap}, silent: {}]")
    loaded = read(builtin=tmp_path)
    outcome = run_examples(loaded.rules, loaded.examples, LANGUAGE, lambda _, __: [])
    assert (outcome.passed, outcome.failures) == (1, ())
    assert [skipped.problem for skipped in outcome.skipped] == ["no capture a.pcap"]


def test_a_capture_is_read_with_the_ports_of_its_example(tmp_path: Path) -> None:
    write(tmp_path, "mine", "TOY700", examples="[{capture: a.pcap, ports: [4450]}, silent: {}]")
    (tmp_path / "a.pcap").write_bytes(b"")
    loaded = read(builtin=tmp_path)
    seen: list[tuple[int, ...]] = []

    def diagnose(_: Path, ports: tuple[int, ...]) -> Iterable[Diagnosed]:
        seen.append(ports)
        return [Diagnosed(0, [_finding(1)])]

    assert run_examples(loaded.rules, loaded.examples, LANGUAGE, diagnose).failures == ()
    assert seen == [(4450,)]


@pytest.mark.parametrize(("named", "problem"), [
    ("[]", "expected the hints [], but it gives [again]"),
    ("[again]", None),
])
def test_an_example_names_exactly_the_hints_it_gives(tmp_path: Path, named: str, problem: str | None) -> None:
    hints = "\n- name: again\n  when: |\n    connection.broke\n  text: it broke"
    examples = f"[{{fires: {{connection.up: true, connection.broke: true}}, hints: {named}}}, silent: {{}}]"
    write(tmp_path, "mine", "TOY700", hints=hints, examples=examples)
    loaded = read(builtin=tmp_path)
    outcome = run_examples(loaded.rules, loaded.examples, LANGUAGE)
    assert [failure.problem for failure in outcome.failures] == ([problem] if problem else [])


def test_a_capture_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    write(tmp_path, "mine", "TOY700", examples="[{capture: a.pcap}, silent: {}]")
    (tmp_path / "a.pcap").write_bytes(b"nothing")
    loaded = read(builtin=tmp_path)

    def diagnose(_: Path, __: tuple[int, ...]) -> Iterable[Diagnosed]:
        raise CaptureError("not a capture")

    outcome = run_examples(loaded.rules, loaded.examples, LANGUAGE, diagnose)
    assert [failure.problem for failure in outcome.failures] == [
        "a.pcap cannot be read: offset 0: not a capture"
    ]


def test_every_toy_rule_has_a_case_in_which_it_is_silent() -> None:
    examples = read(builtin=RULES).examples
    assert all(any(example.expects == "silent" for example in cases) for cases in examples.values())
