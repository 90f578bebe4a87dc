"""The schema job and its helpers: which is which, and what a helper says of itself."""

from __future__ import annotations

import pytest
from docker.errors import APIError

from contract.errors import UserError
from ops import job
from ops.processes import process_of, this_process

from .fake_docker import FakeContainer, FakeDocker, labels

PREFIX = "mlflow-postgres-dev"


def schema_job() -> FakeContainer:
    marks = labels("schema", kind="task", secrets="3")
    return FakeContainer(f"{PREFIX}-schema", labels=marks, status="exited", networks=["a-network"])


def test_another_commands_helper_is_not_taken_for_the_job() -> None:
    # As an older version of this project made them, and as this one does.
    others = [
        FakeContainer("sleepy_bohr", labels=labels("schema", kind="task")),
        FakeContainer(f"{PREFIX}-schema-1a2b3c", labels=labels("schema", kind="helper")),
    ]
    own = schema_job()
    assert job.find(FakeDocker(containers=[*others, own]), "dev") is own
    with pytest.raises(UserError, match=r"^the stack dev is not up\."):
        job.find(FakeDocker(containers=others), "dev")


def test_a_helper_says_what_it_is_and_who_waits_for_it() -> None:
    engine = FakeDocker(answers={"dumps": (0, "[]")})
    job.run(engine, schema_job(), "dumps", by="doctor")
    (made,) = engine.api.configurations
    marks = {key.removeprefix("mlflow-postgres."): value for key, value in made["Labels"].items()}
    assert process_of(marks.pop("waiter")) == this_process()
    assert marks == {
        **{"stack": PREFIX, "deployment": "this-life", "role": "dumps", "kind": "helper"},
        **{"by": "doctor", "changes": "false"},
    }, "its job's secrets are not its own"
    assert engine.api.made[0].name.startswith(f"{PREFIX}-dumps-")


def test_an_engine_that_goes_away_is_not_hidden_by_what_cannot_be_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise APIError("the engine went away while it was waited for")

    def not_removed(*_: object, **__: object) -> None:
        raise APIError("nor can it be removed")

    monkeypatch.setattr(FakeContainer, "wait", gone)
    monkeypatch.setattr(FakeContainer, "remove", not_removed)
    with pytest.raises(APIError, match=r"^the engine went away"):
        job.run(FakeDocker(answers={"dumps": (0, "[]")}), schema_job(), "dumps", by="doctor")
