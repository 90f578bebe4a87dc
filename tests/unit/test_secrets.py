"""Where each secret goes, and where it never does. Each wrapper is tried alone: one hides that another is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from components import PostgresOptions, Tls, platform
from components.database import DatabaseConnection, ExternalDatabase, Login, managed
from components.database.connections import connection_budget
from components.engine import DockerHost
from components.engine.workload import Limits, Probe, SecretFile, Workload
from components.image import Image
from components.services.sign_in import SignIn

from .deploy import IMAGES, TLS_KEY, deploy, endpoint, everything, run_platform
from .fake_engine import CONTAINER, RANDOM_PASSWORD, VOLUME, FakeEngine, generated, plain, texts

ME = "mlflow-postgres"
OWNER, SERVER, READONLY, MONITOR = (
    generated(f"{ME}-postgres-{name}")
    for name in ("owner-password", "password", "readonly-password", "monitor-password")
)
ADMIN, KEY = generated(f"{ME}-sign-in-admin-password"), generated(f"{ME}-sign-in-secret-key")
# Who is handed each secret.
READERS = {
    OWNER: {"postgres", "schema"},
    SERVER: {"postgres", "mlflow", "gc"},
    READONLY: {"postgres"},
    MONITOR: {"postgres", "exporter"},
    ADMIN: {"schema", "mlflow"},
    KEY: {"mlflow"},
    TLS_KEY: {"gateway"},
}


def carrying(secret: str, where: Mapping[str, Any]) -> set[tuple[str, str, bool]]:
    """Every place that carries a secret: of what, which property, and whether it is marked."""
    return {
        (name, path, marked) for name, value in where.items() for path, text, marked in texts(value) if secret in text
    }


def test_every_generated_secret_is_tested() -> None:
    made = {generated(name) for name in everything().of(RANDOM_PASSWORD)}
    assert made == set(READERS) - {TLS_KEY}, "one that is missing here may be anywhere"


@pytest.mark.parametrize("secret", READERS)
def test_a_secret_is_only_in_the_files_of_its_readers_and_marked(secret: str) -> None:
    engine = everything()
    found = carrying(secret, {name: each.raw for name, each in engine.registered.items()})
    couriers = {engine.container(f"{role}-courier").name for role in READERS[secret]}
    assert found == {(courier, "uploads.content", True) for courier in couriers}, (
        "environment, command, labels, health check and names are shown by the engine to whoever asks"
    )


@pytest.mark.parametrize("secret", READERS)
def test_outputs_of_components_have_no_secret(secret: str) -> None:
    shown = carrying(secret, everything().outputs)
    assert {place for place in shown if not place[2]} == set()


@pytest.mark.parametrize(
    ("secret", "outputs"),
    [
        (OWNER, set()),
        (SERVER, {"postgres_password", "backend_store_uri"}),
        (READONLY, {"postgres_readonly_password"}),
        (ADMIN, {"admin_password"}),
        (KEY, set()),
        (TLS_KEY, set()),
    ],
)
def test_a_secret_is_only_in_its_outputs_and_marked(secret: str, outputs: set[str]) -> None:
    found = {(path, marked) for path, text, marked in texts(everything().exports) if secret in text}
    assert found == {(output, True) for output in outputs}


def test_no_other_output_is_secret() -> None:
    marked = {path for path, _, is_secret in texts(everything().exports) if is_secret}
    assert marked == {"postgres_password", "postgres_readonly_password", "backend_store_uri", "admin_password"}, (
        "a tracking URL that nobody may read is of no use"
    )


def test_generated_secrets_are_long_and_need_no_quoting() -> None:
    for name, each in everything().of(RANDOM_PASSWORD).items():
        assert each.inputs["special"] is False, f"{name}: ':' and '@' have a meaning in a pass file and a URI"
        assert each.inputs["length"] >= 32, name


@pytest.mark.parametrize(
    ("role", "line"),
    [
        ("mlflow", f"postgres:5432:runs:tracker:{SERVER}\n"),
        ("schema", f"postgres:5432:runs:tracker_owner:{OWNER}\n"),
    ],
)
def test_the_pass_file_has_the_line_for_libpq(role: str, line: str) -> None:
    engine = deploy(postgres=PostgresOptions(database="runs", user="tracker"))
    assert delivered(engine, role) == {"/run/secrets/pgpass": line}


def test_the_database_gets_the_password_of_each_role() -> None:
    assert delivered(everything(), "postgres") == {
        "/run/secrets/owner-password": OWNER,
        "/run/secrets/server-password": SERVER,
        "/run/secrets/readonly-password": READONLY,
        "/run/secrets/monitor-password": MONITOR,
    }


def test_the_store_uri_of_mlflow_and_the_job_has_no_password() -> None:
    engine = deploy(postgres=PostgresOptions(database="runs", user="tracker"))
    stores = {role: engine.container(role).environment["MLFLOW_BACKEND_STORE_URI"] for role in ("mlflow", "schema")}
    assert stores == {
        "mlflow": "postgresql+mlflow://tracker@postgres:5432/runs",
        "schema": "postgresql+mlflow://tracker_owner@postgres:5432/runs",
    }, "the server neither creates nor drops; only the job does"


@pytest.mark.parametrize("role", ["postgres", "schema", "mlflow", "gateway"])
def test_every_named_secret_file_exists(role: str) -> None:
    engine = everything()
    told = {value for value in engine.container(role).environment.values() if value.startswith("/run/secrets/")}
    assert told <= set(delivered(engine, role))


def test_no_environment_variable_holds_a_secret() -> None:
    for name, each in everything().of(CONTAINER).items():
        wrong = {
            key
            for key, value in each.environment.items()
            if any(word in key for word in ("PASSWORD", "SECRET", "PASSPHRASE")) and not value.startswith("/")
        }
        assert wrong == set(), f"{name}: an environment is shown by the engine to whoever asks"


def test_the_engine_marks_every_secret_file_as_secret(engine: FakeEngine) -> None:
    secret = SecretFile(name="secret", content="in the clear")
    limits = Limits(memory_mb=1)
    workload = Workload(image="image", user=1, limits=limits, probe=Probe(command=["true"]), secret_files=[secret])
    engine.run(lambda: DockerHost("me", "once").run("server", "role", workload, pulumi.ResourceOptions()))
    found = carrying("in the clear", {name: each.raw for name, each in engine.registered.items()})
    assert found == {("server-courier", "uploads.content", True)}


def test_generated_passwords_are_secret(engine: FakeEngine) -> None:
    args = managed.PostgresArgs(
        image=Image(context=IMAGES / "postgres", base="base"),
        options=managed.PostgresOptions(),
        networks=["network"],
        internal_network="192.0.2.0/24",
        connections=connection_budget(1, sign_in=False, jobs=False),
        credentials_version=1,
    )

    def program() -> None:
        server = managed.Postgres("database", args, DockerHost("me", "once"))
        for role in ("owner", "server", "readonly"):
            pulumi.export(role, getattr(server, role).password)
        pulumi.export("admin", SignIn("sign-in", version=1).password)

    engine.run(program)
    assert {name for name, value in engine.exports.items() if not rpc.is_rpc_secret(value)} == set()
    assert len(engine.exports) == 4


def test_the_pass_file_is_secret_even_with_a_password_that_is_not(engine: FakeEngine) -> None:
    login = Login(user="me", password=pulumi.Output.from_input("in the clear"))
    server = ExternalDatabase(host="postgres", database="mlflow", owner=login, server=login, readonly=login)
    (pass_file,) = DatabaseConnection(server=server, login=login).secret_files
    engine.run(lambda: pulumi.export("pass_file", pass_file.content))
    assert rpc.is_rpc_secret(engine.exports["pass_file"])


def test_the_store_uri_is_secret_even_with_a_password_that_is_not(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Careless(managed.Postgres):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.server = Login(user="mlflow", password=pulumi.Output.from_input("in-the-clear"))

    monkeypatch.setattr(platform, "Postgres", Careless)
    run_platform(engine)
    assert plain(engine.exports)["postgres_password"] == "in-the-clear"
    found = {(path, marked) for path, text, marked in texts(engine.exports) if "in-the-clear" in text}
    assert ("backend_store_uri", True) in found


def test_volumes_of_secrets_are_deleted_with_the_stack() -> None:
    engine = everything(keep_data=True, protect_data=True)
    secrets = {name: each for name, each in engine.of(VOLUME).items() if name.endswith("-secrets")}
    assert len(secrets) == 6
    for name, each in secrets.items():
        assert not each.request.retainOnDelete, f"{name}: what no stack needs any more would stay on the host"
        assert not each.request.protect, f"{name}: every change of a secret would be refused"
        kept = each.request.deleteBeforeReplaceDefined and not each.request.deleteBeforeReplace
        assert kept, (
            f"{name}: one that goes before its successor is there takes its reader along, before an image is built"
        )


READER_AND_FILES = [
    ("gateway", {"endpoint": endpoint(tls=Tls.INTERNAL)}, {"certificate.pem", "key.pem"}),
    ("mlflow", {"sign_in": False}, {"admin-password", "basic-auth.ini", "secret-key"}),
    ("schema", {"sign_in": False}, {"admin-password"}),
    ("postgres", {"metrics": None}, {"monitor-password"}),
]


@pytest.mark.parametrize(("role", "without", "files"), READER_AND_FILES)
def test_an_unused_secret_is_deleted_with_its_volume(role: str, without: dict[str, Any], files: set[str]) -> None:
    """It stayed there, for a courier only brings and never takes away."""
    before, after = everything(endpoint=endpoint(tls=Tls.FILES)), everything(**without)
    gone = {path.rpartition("/")[2] for path in set(delivered(before, role)) - set(delivered(after, role))}
    assert gone == files
    assert before.container(role).mounted["/run/secrets"] != after.container(role).mounted["/run/secrets"]


def test_changed_secrets_stay_on_the_same_volume() -> None:
    before, after = everything(credentials_version=1), everything(credentials_version=2)
    for role in ("postgres", "mlflow", "gc", "exporter"):
        assert before.container(role).mounted["/run/secrets"] == after.container(role).mounted["/run/secrets"]


def delivered(engine: FakeEngine, role: str) -> dict[str, str]:
    """What a courier brings, by the file that it is in."""
    return {each["file"]: each["content"] for each in engine.container(f"{role}-courier").inputs["uploads"]}
