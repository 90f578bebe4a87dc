"""The schema job and its helpers: how they are told apart, and a helper's labels."""

from __future__ import annotations

import pytest
from docker.errors import APIError

from contract.errors import UserError
from ops import schema_job
from ops.processes import process_of, this_process
from preflight.engine import EngineError

from .fake_docker import FakeContainer, FakeDocker, labels

PREFIX = "mlflow-postgres-dev"


def job_container() -> FakeContainer:
    marks = labels("schema", kind="task", secrets="3")
    return FakeContainer(f"{PREFIX}-schema", labels=marks, status="exited", networks=["a-network"])


def test_a_helper_is_not_mistaken_for_the_job() -> None:
    # As an older version of this project made them, and as this one does.
    others = [
        FakeContainer("sleepy_bohr", labels=labels("schema", kind="task")),
        FakeContainer(f"{PREFIX}-schema-1a2b3c", labels=labels("schema", kind="helper")),
    ]
    own = job_container()
    assert schema_job.find(FakeDocker(containers=[*others, own]).connect(), "dev").id == own.id
    with pytest.raises(UserError, match=r"^the stack dev is not up\."):
        schema_job.find(FakeDocker(containers=others).connect(), "dev")


def test_a_helper_has_labels_of_its_command_and_process() -> None:
    engine = FakeDocker(containers=[job_container()], answers={"dumps": (0, "[]")})
    runtime = engine.connect()
    schema_job.run(runtime, schema_job.find(runtime, "dev"), "dumps", command="doctor")
    (made,) = engine.api.configurations
    marks = {key.removeprefix("mlflow-postgres."): value for key, value in made["Labels"].items()}
    assert process_of(marks.pop("waiter")) == this_process()
    assert marks == {
        **{"stack": PREFIX, "deployment": "this-life", "role": "dumps", "kind": "helper"},
        **{"by": "doctor", "changes": "false"},
    }, "its job's secrets are not its own"
    assert engine.api.made[0].name.startswith(f"{PREFIX}-dumps-")


def test_a_failed_clean_up_does_not_hide_the_engines_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise APIError("the engine went away while it was waited for")

    def not_removed(*_: object, **__: object) -> None:
        raise APIError("nor can it be removed")

    monkeypatch.setattr(FakeContainer, "wait", gone)
    monkeypatch.setattr(FakeContainer, "remove", not_removed)
    runtime = FakeDocker(containers=[job_container()], answers={"dumps": (0, "[]")}).connect()
    with pytest.raises(EngineError, match="the engine went away"):
        schema_job.run(runtime, schema_job.find(runtime, "dev"), "dumps", command="doctor")
