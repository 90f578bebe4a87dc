"""The command doctor: the order of its checks, its output, its exit code, and what it does not try."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from contract.errors import UserError
from ops import __main__ as ops
from ops.docker_runtime import DockerRuntime
from ops.doctor import command, report
from ops.doctor.check import Check, Finding, State, Verdict, broken, from_error, ok, run_all, warning, worst_of
from ops.doctor.subject import NotTried, Subject, subject_of
from preflight.engine import EngineError

from .fake_docker import FakeContainer, FakeDocker, labels

OUTPUTS = {"tracking_url": "http://127.0.0.1:5000", "mlflow_version": "3.17.2", "postgres_database": "mlflow"}


def subject(*containers: FakeContainer) -> Subject:
    return subject_of(FakeDocker(containers=containers).connect(), "dev", OUTPUTS)


def service(role: str, **more: Any) -> FakeContainer:
    return FakeContainer(f"mlflow-postgres-dev-{role}", labels=labels(role, kind="service"), **more)


def found(*checks: Check) -> dict[str, Verdict]:
    return {finding.name: finding.verdict for finding in run_all(checks, subject())}


def raising(error: Exception) -> Callable[[Subject], Verdict]:
    def look(_: Subject) -> Verdict:
        raise error

    return look


def test_a_check_that_raises_is_broken_and_the_others_run() -> None:
    assert found(
        Check("a", raising(ValueError("first\nFailing row contains (secret)"))),
        Check("b", lambda _: ok("fine")),
        Check("c", raising(KeyError())),
    ) == {"a": broken("first", ""), "b": ok("fine"), "c": broken("KeyError", "")}


def test_an_error_that_names_its_remedy_is_shown_with_it() -> None:
    error = UserError("stack-not-up", "the stack dev is not up", remedy="make up STACK=dev")
    assert from_error(error) == broken("the stack dev is not up", "make up STACK=dev")


def test_checks_that_need_a_broken_check_are_skipped() -> None:
    never = raising(AssertionError("it must not be tried"))
    verdicts = found(
        Check("a", lambda _: broken("down", "")),
        Check("b", never, needs=("a",)),
        Check("c", never, needs=("b",)),
        Check("d", raising(NotTried("mlflow does not run"))),
        Check("e", lambda _: warning("half", "")),
        Check("f", lambda _: ok("fine"), needs=("e",)),
    )
    assert {name: (verdict.state.value, verdict.seen) for name, verdict in verdicts.items() if name in "bcdf"} == {
        "b": ("skipped", "not tried: see a"),
        "c": ("skipped", "not tried: see b"),
        "d": ("skipped", "not tried: mlflow does not run"),
        "f": ("ok", "fine"),
    }


def test_independent_checks_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=10)

    def look(_: Subject) -> Verdict:
        both.wait()
        return ok("met")

    assert found(Check("a", look), Check("b", look)) == {"a": ok("met"), "b": ok("met")}


def test_a_check_needs_only_earlier_ones() -> None:
    names = [check.name for check in command.CHECKS]
    assert len(set(names)) == len(names)
    for number, check in enumerate(command.CHECKS):
        assert set(check.needs) <= set(names[:number])


def test_the_worst_verdicts_are_joined() -> None:
    several = [ok("a"), broken("b", "mend b"), warning("c", "mend c"), broken("d", "mend d")]
    assert worst_of(several) == broken("b; d", "mend b")
    assert worst_of([ok("a"), ok("b")]) == ok("a; b")


SKIPPED = Finding("late", Verdict(State.SKIPPED, "not tried: see first"))


@pytest.mark.parametrize(
    ("verdicts", "worst", "code"),
    [
        ([ok("fine")], "ok", 0),
        ([ok("fine"), warning("little", "more")], "warning", 1),
        ([warning("little", "more"), broken("gone", "make"), ok("fine")], "broken", 2),
    ],
)
def test_the_exit_code_is_that_of_the_worst(verdicts: list[Verdict], worst: str, code: int) -> None:
    findings = [*(Finding("first", verdict) for verdict in verdicts), SKIPPED]
    assert report.exit_code(findings) == code
    assert json.loads(report.as_json(findings))["worst"] == worst


def test_a_finding_is_one_line_with_its_remedy_and_without_colour_outside_a_terminal() -> None:
    findings = [Finding("disk", broken("0 GiB free", "rm")), SKIPPED]
    assert report.as_lines(findings, colour=False).splitlines() == [
        "broken   disk  0 GiB free. Mend it with: rm",
        "skipped  late  not tried: see first",
    ]
    assert report.as_lines(findings, colour=True).splitlines()[0].startswith("\033[31mbroken \033[0m  disk")


def test_the_json_has_every_field() -> None:
    assert json.loads(report.as_json([Finding("disk", warning("little", "rm")), Finding("room", ok("much"))])) == {
        "worst": "warning",
        "checks": [
            {"name": "disk", "state": "warning", "seen": "little", "mend": "rm"},
            {"name": "room", "state": "ok", "seen": "much", "mend": ""},
        ],
    }


def use(monkeypatch: pytest.MonkeyPatch, *checks: Check) -> None:
    monkeypatch.setattr(command, "outputs", lambda _: OUTPUTS)
    monkeypatch.setattr(command, "CHECKS", checks)


def test_the_command_prints_a_line_for_each_check_and_ends_with_the_worst_of_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = FakeDocker()
    use(monkeypatch, Check("disk", lambda _: warning("little", "rm")))
    assert ops.main(["doctor", "--stack", "dev"], engine.connect) == 1
    assert engine.closed
    assert capsys.readouterr().out.splitlines() == [
        "ok       engine  Docker 29.1.0 answers",
        "ok       stack   MLflow 3.17.2 at http://127.0.0.1:5000",
        "warning  disk    little. Mend it with: rm",
    ]


def test_without_an_engine_all_other_checks_are_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> DockerRuntime:
        raise EngineError("engine-not-running", "no Docker engine answers at here", remedy="make engine")

    use(monkeypatch, Check("disk", raising(AssertionError("it must not be tried"))))
    assert ops.main(["doctor", "--stack", "dev"], missing) == 2
    assert capsys.readouterr().out.splitlines() == [
        "broken   engine  no Docker engine answers at here. Mend it with: make engine",
        "skipped  stack   not tried: see engine",
        "skipped  disk    not tried: see engine",
    ]


def test_a_stack_that_is_not_up_is_broken_and_its_containers_are_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown(_: str) -> dict[str, str]:
        raise UserError("pulumi-failed", "`pulumi stack` failed: error: no stack named 'dev' found")

    use(monkeypatch, Check("disk", lambda each: ok(each.output("tracking_url"))))
    monkeypatch.setattr(command, "outputs", unknown)
    assert ops.main(["doctor", "--json", "--stack", "dev"], FakeDocker().connect) == 2
    checks = {each["name"]: each for each in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["stack"]["mend"] == "make up STACK=dev"
    assert checks["disk"]["seen"] == "not tried: the stack has no output tracking_url"


def test_helpers_are_not_checked() -> None:
    job, another = service("schema"), FakeContainer("eager_name", labels=labels("schema", kind="task"))
    assert [each.id for each in subject(job, another).containers] == [job.id]


def test_no_command_runs_in_a_stopped_service() -> None:
    with pytest.raises(NotTried, match=r"^mlflow does not run$"):
        subject(service("mlflow", status="paused")).running("mlflow")
    with pytest.raises(NotTried, match=r"^postgres does not run$"):
        subject(service("mlflow")).running("postgres")
