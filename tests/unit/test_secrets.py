"""Where the password goes, and where it never does. Each wrapper is tried alone: one hides that another is missing."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from components import mlflow, platform, postgres
from components.engine import SingleHost
from components.image import Image
from components.workload import Port, Probe, SecretFile, Workload

from .deploy import IMAGES, deploy, everything, run_platform
from .fake_engine import CONTAINER, PASSWORD, FakeEngine, plain, texts

# User ids inside the images: `postgres` in the official one, `nobody` as whom images/mlflow runs.
READERS = {"postgres": "999", "mlflow": "65534"}


class Overheard(SingleHost):
    """An engine room that keeps the workloads that it is handed."""

    def __init__(self) -> None:
        super().__init__("heard", "once")
        self.workloads: dict[str, Workload] = {}

    def run(self, name: str, role: str, workload: Workload, opts: pulumi.ResourceOptions) -> Any:
        self.workloads[role] = workload
        return super().run(name, role, workload, opts)


def test_the_outputs_that_carry_the_password_are_secret_and_no_other_carries_it() -> None:
    engine = everything()
    carrying = {(path, secret) for path, text, secret in texts(engine.exports) if PASSWORD in text}
    assert carrying == {("postgres_password", True), ("backend_store_uri", True)}


def test_no_output_is_secret_without_need() -> None:
    engine = everything()
    secret = {path for path, _, is_secret in texts(engine.exports) if is_secret}
    assert secret == {"postgres_password", "backend_store_uri"}, "a tracking URL that nobody may read is of no use"


def test_the_password_is_in_the_uploads_alone_and_secret_there() -> None:
    engine = everything()
    carrying = {
        (name, path, secret)
        for name, each in engine.registered.items()
        for path, text, secret in texts(each.raw)
        if PASSWORD in text
    }
    assert carrying == {
        ("mlflow-postgres-postgres-server", "uploads.content", True),
        ("mlflow-postgres-mlflow-server", "uploads.content", True),
    }, "environment, command, labels, health check and names are shown by the engine to whoever asks"


def test_what_components_say_of_themselves_shows_no_password() -> None:
    engine = everything()
    shown = {
        path
        for said in engine.outputs.values()
        for path, text, secret in texts(said)
        if PASSWORD in text and not secret
    }
    assert shown == set()


def test_a_secret_file_is_readable_by_its_reader_alone() -> None:
    engine = everything()
    files = {
        (role, upload["permissions"], upload["owner"], upload["group"])
        for role in READERS
        for upload in engine.container(role).inputs["uploads"]
    }
    assert files == {(role, "0400", reader, reader) for role, reader in READERS.items()}
    assert "uploads" not in engine.container("adminer").inputs, "whoever opens Adminer types the password"


def test_a_service_finds_its_secret_where_its_environment_says() -> None:
    engine = everything()
    for role, variable in {"postgres": "MLFLOW_POSTGRES_PASSWORD_FILE", "mlflow": "PGPASSFILE"}.items():
        inputs = engine.container(role).inputs
        (upload,) = inputs["uploads"]
        assert f"{variable}={upload['file']}" in inputs["envs"]


def test_the_pass_file_has_the_one_line_that_libpq_looks_for() -> None:
    engine = deploy(database="runs", user="tracker")
    (upload,) = engine.container("mlflow").inputs["uploads"]
    assert upload["content"] == f"postgres:5432:runs:tracker:{PASSWORD}\n"


def test_mlflow_is_told_its_store_without_the_password() -> None:
    engine = deploy(database="runs", user="tracker")
    envs = engine.container("mlflow").inputs["envs"]
    assert "MLFLOW_BACKEND_STORE_URI=postgresql+psycopg://tracker@postgres:5432/runs" in envs


def test_the_password_needs_no_quoting_anywhere() -> None:
    engine = deploy()
    inputs = engine.registered["mlflow-postgres-postgres-password"].inputs
    assert (inputs["special"], inputs["length"]) == (False, 32), "':' and '@' have a meaning in a pass file and a URI"


def test_the_engine_room_makes_a_secret_file_secret_whatever_it_is_given(engine: FakeEngine) -> None:
    secret = SecretFile(path="/secret", content="in the clear", owner=1)
    workload = Workload(image="image", probe=Probe(command=["true"]), secret_files=[secret])
    engine.run(lambda: SingleHost("me", "once").run("server", "role", workload, pulumi.ResourceOptions()))
    said = {is_secret for _, text, is_secret in texts(engine.of(CONTAINER)["server"].raw) if text == "in the clear"}
    assert said == {True}


def test_the_generated_password_is_secret_where_it_is_made(engine: FakeEngine) -> None:
    args = postgres.PostgresArgs(image=_image("postgres"), major=17, networks=["network"])
    room = SingleHost("me", "once")
    engine.run(lambda: pulumi.export("password", postgres.Postgres("database", args, room).password))
    assert rpc.is_rpc_secret(engine.exports["password"])


def test_the_pass_file_is_secret_even_with_a_password_that_is_not(engine: FakeEngine) -> None:
    args = mlflow.MlflowArgs(
        image=_image("mlflow"),
        networks=["network"],
        port=Port(container=5000, host=5000, address="127.0.0.1"),
        database_host="postgres",
        database_port=5432,
        database="mlflow",
        database_user="mlflow",
        database_password="in the clear",
    )

    def program() -> None:
        overheard = Overheard()
        mlflow.Mlflow("tracking", args, overheard)
        (secret_file,) = overheard.workloads["mlflow"].secret_files
        pulumi.export("pass_file", secret_file.content)

    engine.run(program)
    assert rpc.is_rpc_secret(engine.exports["pass_file"])


def test_the_store_uri_is_secret_even_with_a_password_that_is_not(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Careless(postgres.Postgres):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.password = pulumi.Output.from_input(PASSWORD)

    monkeypatch.setattr(platform, "Postgres", Careless)
    run_platform(engine)
    assert plain(engine.exports)["postgres_password"] == PASSWORD
    carrying = {(path, secret) for path, text, secret in texts(engine.exports) if PASSWORD in text}
    assert ("backend_store_uri", True) in carrying


def _image(role: str) -> Image:
    return Image(context=IMAGES / role, base="base")
