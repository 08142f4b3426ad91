from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.diagnosis import engine
from analyzer.diagnosis.engine import Finding, Missing, RuleSet, Verdict, diagnose
from analyzer.errors import UsageError
from tests.diagnosis.toy import made, rule_set

REFUSED = {"connection.refused": True, "connection.up": False, "connection.server": "10.0.0.1:445"}
NO_DIALECT: dict[str, object] = {
    "response.smb2.nt_status": 0xC00000BB,
    "request.smb2.dialect": [0x0202, 0x0210],
    "connection.broke": True,
    "connection.server": "10.0.0.1:445",
}


CAUSE = {"slug": "cause", "code": "TOY100", "when": "|\n  connection.broke"}


def test_a_cause_comes_with_its_proof_and_its_fix() -> None:
    frames = {"syn": (10, 12), "reset": (11,), "request": (99,)}
    verdict = diagnose(REFUSED, frames, rule_set(), stream=3)
    assert verdict.outcome == "no-connection"
    assert (verdict.causes, verdict.confidence) == (("refused",), "proven")
    assert (verdict.candidates, verdict.warnings) == ((), ())
    finding = verdict.findings[0]
    assert finding == Finding(
        rule="refused",
        code="TOY101",
        severity="error",
        summary="10.0.0.1:445 refused the connection",
        fix=finding.fix,
        frames=(10, 11, 12),
        display_filter="tcp.stream eq 3 && frame.number in {10..12}",
        reference="RFC 9293 3.10.7.3",
    )
    assert [fix.side for fix in finding.fix] == ["server", "network"]


def test_the_specific_cause_drops_the_general_one() -> None:
    verdict = diagnose(NO_DIALECT, {}, rule_set())
    assert verdict.causes == ("no-common-dialect",)
    assert (
        verdict.findings[0].summary == "10.0.0.1:445 accepts none of SMB 2.0.2, SMB 2.1: STATUS_NOT_SUPPORTED"
    )


def test_cause_when_makes_a_cause_of_a_warning() -> None:
    verdict = diagnose({**NO_DIALECT, "connection.broke": False}, {}, rule_set())
    # A warning does not drop the cause that it would stand instead of; beside it, it has no place.
    assert (verdict.causes, verdict.warnings) == (("server-error",), ())


@pytest.mark.parametrize(("role", "beside", "expected"), [
    ("warning", None, ()),
    ("warning", "false", ()),
    ("warning", "true", ("remark",)),
    ("limit", None, ("remark",)),
])
def test_beside_a_cause_stand_limits_and_what_says_so(
    tmp_path: Path, role: str, beside: str | None, expected: tuple[str, ...]
) -> None:
    keys = {"slug": "remark", "code": "TOY700", "role": role}
    rules = made(tmp_path, [CAUSE, {**keys, "beside_cause": beside} if beside else keys])
    assert diagnose({"connection.up": True, "connection.broke": False}, {}, rules).warnings == ("remark",)
    verdict = diagnose({"connection.up": True, "connection.broke": True}, {}, rules)
    assert (verdict.causes, verdict.warnings) == (("cause",), expected)


@pytest.mark.parametrize(("raced", "severity"), [(True, "warning"), (False, "error"), (None, "error")])
def test_warning_when_lowers_the_severity_of_a_cause(tmp_path: Path, raced: bool | None, severity: str) -> None:
    rules = made(tmp_path, [{**CAUSE, "warning_when": "|\n  others.raced"}])
    facts: dict[str, object] = {"connection.broke": True}
    if raced is not None:
        facts["others.raced"] = raced
    verdict = diagnose(facts, {}, rules)
    assert (verdict.causes, verdict.findings[0].severity) == (("cause",), severity)


def test_a_hint_is_added_to_the_summary_where_it_applies(tmp_path: Path) -> None:
    hint = "\n- name: again\n  when: |\n    connection.refused\n  text: refused by {connection.server}"
    rules = made(tmp_path, [{**CAUSE, "hints": hint}])
    facts: dict[str, object] = {"connection.broke": True, "connection.server": "10.0.0.1:445"}
    assert diagnose(facts, {}, rules).findings[0].summary == "It happened"
    assert (
        diagnose({**facts, "connection.refused": True}, {}, rules).findings[0].summary
        == "It happened; refused by 10.0.0.1:445"
    )


def test_likely_when_lowers_the_confidence() -> None:
    one = {**NO_DIALECT, "request.smb2.dialect": [0x0202]}
    assert diagnose(one, {}, rule_set()).confidence == "likely"
    assert diagnose(NO_DIALECT, {}, rule_set()).confidence == "proven"


def test_a_candidate_is_neither_cause_nor_finding() -> None:
    verdict = diagnose({"response.smb2.nt_status": 0xC000009A}, {}, rule_set())
    assert verdict.causes == ("server-error",)
    assert verdict.candidates == ("no-common-dialect",)
    assert [finding.rule for finding in verdict.findings] == ["server-error"]


def test_info_when_lowers_the_severity() -> None:
    verdict = diagnose({**REFUSED, "others.raced": True}, {}, rule_set())
    assert verdict.causes == ("refused",)
    assert verdict.findings[0].severity == "info"


def test_without_a_cause_the_outcome_is_that_of_the_facts() -> None:
    assert diagnose({"connection.outcome": "negotiated"}, {}, rule_set()).outcome == "negotiated"
    assert diagnose({}, {}, rule_set()).outcome == "incomplete"


def test_a_silent_rule_says_which_fact_it_lacks() -> None:
    missing = diagnose({"connection.refused": True}, {}, rule_set()).missing
    assert Missing("refused", "when", "connection.up", "") in missing
    assert Missing("server-error", "when", "response.smb2.nt_status", "") in missing


def test_a_defect_of_a_rule_silences_it_and_is_told(tmp_path: Path) -> None:
    rules = made(tmp_path, [{"slug": "bad", "code": "TOY100", "when": "|\n  request.smb2.dialect[1] == 1",
                             "examples": "[fires: {request.smb2.dialect: [1, 1]}, silent: {}]"}])  # fmt: skip
    verdict = diagnose({"request.smb2.dialect": [1]}, {}, rules)
    assert verdict.causes == ()
    assert verdict.missing == (Missing("bad", "when", "", "UNKNOWN: Index error: index=1 size=1"),)


UP = {"connection.up": True}


def _rules(tmp_path: Path, *keys: dict[str, str]) -> RuleSet:
    slugs = "abcdefgh"
    return made(tmp_path, [
        {"slug": slugs[index], "code": f"TOY{100 + index}", **more} for index, more in enumerate(keys)
    ])  # fmt: skip


def test_several_causes_stand_in_the_order_of_their_codes(tmp_path: Path) -> None:
    assert _rules(tmp_path, {}, {}, {}).judge(UP).causes == ("a", "b", "c")


def test_what_explains_comes_first_across_what_does_not_fire(tmp_path: Path) -> None:
    rules = _rules(
        tmp_path,
        {},
        {"explains": "[a]", "when": "|\n  connection.up && connection.refused"},
        {"explains": "[b]"},
    )
    assert rules.judge({**UP, "connection.refused": False}).causes == ("c", "a")
    assert rules.judge({**UP, "connection.refused": True}).causes == ("c", "b", "a")


def test_explains_keeps_the_order_of_codes_otherwise(tmp_path: Path) -> None:
    assert _rules(tmp_path, {}, {}, {"explains": "[a]"}, {}).judge(UP).causes == ("b", "c", "a", "d")


def test_instead_of_drops_across_what_does_not_fire(tmp_path: Path) -> None:
    rules = _rules(
        tmp_path, {}, {"instead_of": "[a]", "when": "|\n  connection.refused"}, {"instead_of": "[b]"}
    )
    assert rules.judge(UP).causes == ("c",)


def test_a_dropped_warning_drops_nothing_itself(tmp_path: Path) -> None:
    rules = _rules(
        tmp_path, {"role": "warning"}, {"role": "warning", "instead_of": "[a]"}, {"instead_of": "[b]"}
    )
    # c drops b and, through b, a: instead_of is transitive.
    assert rules.judge(UP).warnings == ()
    alone = _rules(tmp_path, {"role": "warning"}, {"role": "warning", "instead_of": "[a]"}, {"role": "limit"})
    assert alone.judge(UP).warnings == ("b", "c")


def test_a_warning_is_never_an_error_and_forces_only_unused(tmp_path: Path) -> None:
    judgement = _rules(tmp_path, {"role": "warning", "outcome": "unused"}).judge(UP)
    assert judgement.outcome == "unused"
    assert [hit.severity for hit in judgement.hits] == ["warning"]
    assert judgement.confidence is None


def test_a_cause_outweighs_the_outcome_of_a_warning(tmp_path: Path) -> None:
    rules = _rules(tmp_path, {"role": "warning", "outcome": "unused"}, {"outcome": "not-smb"})
    assert rules.judge(UP).outcome == "not-smb"


def test_a_cause_drops_a_candidate(tmp_path: Path) -> None:
    candidate = {"when": "|\n  connection.refused", "candidate_when": "|\n  connection.up"}
    assert _rules(tmp_path, {}, candidate).judge(UP).candidates == ("b",)
    assert _rules(tmp_path, {"instead_of": "[b]"}, candidate).judge(UP).candidates == ()


def test_what_is_ignored_is_evaluated_all_the_same() -> None:
    ignoring = rule_set().reporting(ignore=["no-common-dialect"])
    judgement = ignoring.judge(NO_DIALECT)
    # server-error would be wrong: the ignored rule stands instead of it.
    assert (judgement.causes, judgement.outcome) == ((), "failed")
    assert rule_set().reporting(select=["toy511", "refused"]).judge(NO_DIALECT).causes == ()
    assert rule_set().reporting(select=["TOY301"]).judge(NO_DIALECT).causes == ("no-common-dialect",)


def test_a_rule_is_found_by_slug_or_code() -> None:
    rules = rule_set()
    assert rules.find("refused") is rules.find("toy101")
    with pytest.raises(UsageError, match=r"no rule 'refuse' \(did you mean 'refused'\?\)"):
        rules.find("refuse")


def test_equal_facts_are_judged_once() -> None:
    """What only a summary prints is no part of the key, what a condition reads is."""
    rules = rule_set()
    first = diagnose(REFUSED, {"syn": (1,)}, rules)
    second = diagnose({**REFUSED, "connection.server": "10.0.0.2:445"}, {"syn": (2,)}, rules)
    assert rules.judge(REFUSED) is rules.judge({**REFUSED, "connection.server": "10.0.0.2:445"})
    assert rules.judge(REFUSED) is not rules.judge({**REFUSED, "others.raced": False})
    assert (first.findings[0].summary, second.findings[0].summary) == (
        "10.0.0.1:445 refused the connection",
        "10.0.0.2:445 refused the connection",
    )
    assert (first.findings[0].frames, second.findings[0].frames) == ((1,), (2,))


def test_one_fact_is_not_mistaken_for_another() -> None:
    rules = rule_set()
    assert rules.judge({"connection.refused": True}) is not rules.judge({"connection.up": True})
    assert rules.judge({"connection.up": True}) is rules.judge({"connection.up": True})


def test_an_empty_list_is_not_an_absent_one() -> None:
    rules = rule_set()
    assert rules.judge({"request.smb2.dialect": []}) is not rules.judge({})
    assert rules.judge({"request.smb2.dialect": [1]}) is rules.judge({"request.smb2.dialect": (1,)})


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_JUDGEMENTS", 4)
    rules = rule_set()
    for status in range(20):
        assert rules.judge({"response.smb2.nt_status": status}).causes == (
            ("server-error",) if status else ()
        )
        assert len(rules._judgements) <= 4


FACTS = st.fixed_dictionaries(
    {},
    optional={
        "connection.refused": st.booleans(),
        "connection.up": st.booleans(),
        "connection.broke": st.booleans(),
        "others.raced": st.booleans(),
        "request.smb2.dialect": st.lists(st.sampled_from([0x202, 0x2FF, 0x311]), max_size=3),
        "response.smb2.nt_status": st.sampled_from([0, 0xC00000BB, 0xC000009A, 5]),
        "connection.outcome": st.sampled_from(["negotiated", "unused", "incomplete"]),
    },
)


@given(FACTS)
def test_a_verdict_hangs_together(facts: dict[str, object]) -> None:
    """What interface.md promises of any verdict, and the same with or without the cache."""
    verdict = diagnose(facts, {}, RULES)
    assert verdict == diagnose(facts, {}, rule_set())
    assert (verdict.confidence is None) == (not verdict.causes)
    assert bool(verdict.causes) <= (verdict.outcome in ("failed", "no-connection", "not-smb"))
    assert [finding.rule for finding in verdict.findings] == [*verdict.causes, *verdict.warnings]
    assert len({*verdict.causes, *verdict.warnings, *verdict.candidates}) == sum(
        map(len, (verdict.causes, verdict.warnings, verdict.candidates))
    )
    for finding in verdict.findings[len(verdict.causes) :]:
        assert finding.severity != "error"


@given(FACTS, st.data())
def test_hiding_a_fact_never_adds_a_cause_of_its_rule(facts: dict[str, object], data: st.DataObject) -> None:
    """A rule whose condition has no negated alternative is silent, not wrong, with less in the capture."""
    if not facts:
        return
    hidden = data.draw(st.sampled_from(sorted(facts)))
    fewer = {name: value for name, value in facts.items() if name != hidden}
    every, less = RULES.judge(facts), RULES.judge(fewer)
    general = {"no-common-dialect": "server-error"}
    for slug in less.causes:
        assert slug in every.causes or slug in {general.get(cause) for cause in every.causes}


RULES = rule_set()


def test_all_orders_of_rule_files_give_the_same_verdict(tmp_path: Path) -> None:
    for number, order in enumerate(itertools.permutations(("a", "b", "c"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        keys = {"a": {"explains": "[c]"}, "b": {}, "c": {}}
        rules = made(
            folder, [{"slug": slug, "code": f"TOY10{'abc'.index(slug)}", **keys[slug]} for slug in order]
        )
        assert rules.judge(UP).causes == ("a", "b", "c")


def test_a_verdict_is_a_value() -> None:
    assert isinstance(diagnose({}, {}, RULES), Verdict)
    with pytest.raises(AttributeError):
        diagnose({}, {}, RULES).outcome = "failed"  # type: ignore[misc]
