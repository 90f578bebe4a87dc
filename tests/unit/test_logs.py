"""The services' logs, and the last log lines of those that are not healthy."""

from __future__ import annotations

import pytest

from ops import __main__ as ops

from .fake_docker import FakeContainer, FakeDocker, labels

SERVER = labels("mlflow", kind="service")
JOB = labels("schema", kind="task")
COURIER = labels("schema-courier", kind="courier")


def explained(*containers: FakeContainer) -> int:
    engine = FakeDocker(containers=containers)
    code = ops.main(["explain", "--stack", "dev"], engine.connect)
    assert engine.closed
    return code


def test_a_healthy_stack_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    well = [
        FakeContainer("server", labels=SERVER, said="a line"),
        FakeContainer("job", labels=JOB, status="exited", health=None, said="done"),
        FakeContainer("courier", labels=COURIER, status="created", health=None),
    ]
    assert explained(*well) == 0, "`make up` ends with it: a job that has ended well is no failure"
    assert capsys.readouterr() == ("", "")


def test_an_unhealthy_service_is_printed_with_its_last_log_lines(capsys: pytest.CaptureFixture[str]) -> None:
    said = "".join(f"line {number}\n" for number in range(20)) + "no newline"
    job = FakeContainer("job", labels=JOB, status="exited", exit_code=3, health=None, said=said)
    server = FakeContainer("server", labels=SERVER, health="unhealthy", said="trouble\n")
    assert explained(job, server) == 1
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "job is exited with exit code 3; its last log lines:",
        *(f"schema   line {number}" for number in range(9, 20)),
        "schema   no newline",
        "server is running and unhealthy; its last log lines:",
        "mlflow   trouble",
    ]
    assert told.err == (
        "ops explain: [not-ready] not ready: job, server: remove the cause first. Mend it with: make up STACK=dev\n"
    )


def test_the_logs_of_every_service_are_printed_under_its_role(capsys: pytest.CaptureFixture[str]) -> None:
    containers = [
        FakeContainer("server", labels=SERVER, said="one\n"),
        FakeContainer("job", labels=JOB, status="exited", health=None, said="two\n"),
        FakeContainer("theirs", labels=labels("mlflow", stack="mlflow-postgres-other"), said="three\n"),
    ]
    assert ops.main(["logs", "--stack", "dev"], FakeDocker(containers=containers).connect) == 0
    assert sorted(capsys.readouterr().out.splitlines()) == ["mlflow   one", "schema   two"]
