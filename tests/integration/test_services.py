"""What runs, as what, reached from where, and the commands to look at it."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import urllib.request
from typing import Any

import pytest
from mlflow import MlflowClient

from . import readme_example
from .everything import TASK, USERS, EverythingOn
from .harness import Deployment
from .limits import REQUEST, STOP


@pytest.fixture
def complete(everything_on: EverythingOn) -> Deployment:
    return everything_on.stack


def test_the_first_run_of_the_readme_is_logged_by_somebody_who_was_just_let_in(
    complete: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new user may not write into the experiment Default, only into what they make."""
    outputs = complete.outputs()
    url = outputs["tracking_url"]
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(complete.certificate))
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", outputs["admin_username"])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", outputs["admin_password"])
    anna = {"username": "anna", "password": "correct-horse-battery"}
    token = base64.b64encode(f"{outputs['admin_username']}:{outputs['admin_password']}".encode()).decode()
    request = urllib.request.Request(
        f"{url}/api/2.0/mlflow/users/create",
        json.dumps(anna).encode(),
        {"Authorization": f"Basic {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(
        request, timeout=REQUEST, context=ssl.create_default_context(cafile=str(complete.certificate))
    ):
        readme_example.follow(url, **{f"MLFLOW_TRACKING_{key.upper()}": value for key, value in anna.items()})
    experiment = MlflowClient(url).get_experiment_by_name("first")
    assert experiment
    (run,) = MlflowClient(url).search_runs([experiment.experiment_id])
    assert run.data.metrics == {"loss": 0.5}


def test_with_sign_in_the_application_in_front_of_mlflow_creates_a_run(
    complete: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = complete.outputs()
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(complete.certificate))
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", outputs["admin_username"])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", outputs["admin_password"])
    MlflowClient(outputs["tracking_url"]).create_run("0")
    assert complete.used_the_application(), "MLflow answered instead"


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("localhost", 401, "You are not authenticated"),
        ("mlflow.test", 401, "You are not authenticated"),
        ("127.0.0.1", 403, "This server is https://localhost:{port}, and not known by the name that you came by."),
    ],
)
def test_who_comes_by_an_address_or_another_name_is_told_what_is_wrong(
    complete: Deployment, name: str, status: int, said: str
) -> None:
    """Whose certificate is theirs is checked where there is one for that name."""
    port = complete.settings["httpsPort"]
    trust = ["--insecure"] if name == "127.0.0.1" else ["--cacert", str(complete.certificate)]
    command = ["curl", "--silent", "--show-error", "--noproxy", "*", *trust, "--write-out", "\n%{http_code}"]
    where = ["--resolve", f"mlflow.test:{port}:127.0.0.1", f"https://{name}:{port}/api/2.0/mlflow/experiments/get"]
    answer, _, code = subprocess.run([*command, *where], capture_output=True, text=True, check=True).stdout.rpartition(
        "\n"
    )
    assert (int(code), said.format(port=port) in answer) == (status, True), answer


@pytest.mark.parametrize("role", USERS)
def test_no_process_of_a_service_is_root(complete: Deployment, role: str) -> None:
    container = complete.container(role)
    assert container.attrs["Config"]["User"] == f"{USERS[role]}:{USERS[role]}"
    shown = container.top(ps_args="-eo uid,pid,args")
    assert shown["Titles"][0] == "UID"
    assert {process[0] for process in shown["Processes"]} == {USERS[role]}


@pytest.mark.parametrize("role", [*USERS, TASK])
def test_a_container_is_closed_and_has_limits(complete: Deployment, role: str) -> None:
    host: dict[str, Any] = complete.container(role).attrs["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Init"]
    assert 0 < host["Memory"] == host["MemorySwap"]
    assert [each["Name"] for each in host["Ulimits"]] == ["nproc"]
    # Every request adds to a log: without an end the disk would be full one night.
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert not [each for each in complete.container(role).attrs["Mounts"] if each["Type"] != "volume"]


@pytest.mark.parametrize("role", USERS)
def test_a_process_has_no_capability_and_can_win_none(complete: Deployment, role: str) -> None:
    status = dict(line.split(":", 1) for line in complete.execute(role, "cat", "/proc/1/status").splitlines())
    for capabilities in ("CapPrm", "CapEff", "CapBnd"):
        assert int(status[capabilities], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"


@pytest.mark.parametrize("role", USERS)
def test_not_even_root_writes_to_the_file_system_of_a_container(complete: Deployment, role: str) -> None:
    for path in ("/stranger", "/usr/local/bin/stranger", "/run/secrets/stranger"):
        code, said = complete.container(role).exec_run(["touch", path], user="0")
        assert code
        assert b"Read-only file system" in said or b"No such file or directory" in said, said


def test_the_task_has_ended_well_and_no_courier_was_ever_started(complete: Deployment) -> None:
    state = complete.container(TASK).attrs["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 0)
    for role in (*USERS, TASK):
        if role != "adminer":
            assert complete.container(f"{role}-courier").status == "created"


def test_the_role_of_the_tracking_server_is_no_superuser(complete: Deployment) -> None:
    query = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles"
    with complete.database() as connection:
        assert connection.execute(f"{query} WHERE rolname = current_user").fetchone() == (False,) * 5


@pytest.mark.parametrize(("role", "addresses"), [
    ("postgres", ["127.0.0.1"]),
    ("adminer", ["127.0.0.1"]),
    ("gateway", ["127.0.0.1", "127.0.0.1"]),
    # Behind the gateway, with a port of its own for its metrics alone.
    ("mlflow", ["127.0.0.1"]),
    ("exporter", ["127.0.0.1"]),
])  # fmt: skip
def test_a_port_is_open_on_loopback_alone(complete: Deployment, role: str, addresses: list[str]) -> None:
    bound = [each["HostIp"] for binding in complete.container(role).ports.values() for each in binding or []]
    assert bound == addresses


def test_the_database_and_the_task_have_no_way_out(complete: Deployment) -> None:
    """Although the database's port is published."""
    (network,) = complete.engine.networks.list(names=[f"{complete.prefix}-database"])
    assert network.attrs["Internal"]
    assert set(complete.container(TASK).attrs["NetworkSettings"]["Networks"]) == {network.name}
    reach = "import socket; socket.create_connection(('1.1.1.1', 443), timeout=5)"
    if complete.container("mlflow").exec_run(["python", "-c", reach]).exit_code:
        pytest.skip("this machine itself has no way out")
    knock = "timeout 5 bash -c 'exec 3<> /dev/tcp/1.1.1.1/443'"
    assert complete.container("postgres").exec_run(["bash", "-c", knock]).exit_code
    stranger = complete.engine.containers.create(
        complete.image(TASK), ["python", "-c", reach], entrypoint=[], network=network.name
    )
    try:
        stranger.start()
        assert stranger.wait(timeout=STOP)["StatusCode"]
        # Refused by the kernel, or dropped on its way: engines differ.
        assert b"unreachable" in stranger.logs() or b"timed out" in stranger.logs()
    finally:
        stranger.remove(force=True, v=True)


def test_a_shell_in_the_database_needs_no_password(complete: Deployment) -> None:
    assert "mlflow|mlflow" in complete.ops(
        "psql", typed="\\pset format unaligned\nSELECT current_user, current_database();\n"
    )


def test_the_logs_are_those_of_every_service_and_task(complete: Deployment) -> None:
    said = complete.ops("logs")
    assert {line.split()[0] for line in said.splitlines()} == {*USERS, TASK}
    assert "database system is ready to accept connections" in said


def test_of_services_that_are_well_there_is_nothing_to_explain(complete: Deployment) -> None:
    assert complete.ops("explain") == ""


def test_ports_move_between_services_and_from_one_that_is_switched_off(complete: Deployment) -> None:
    """Of a chain of three: whoever has a port lets go of it before another one opens it. A preview stops nobody."""
    ports = {role: complete.settings[f"{role}Port"] for role in ("adminer", "postgres")}
    running = {role: complete.container(role).id for role in USERS}
    complete.configure(adminer=False, postgresPort=ports["adminer"], httpPort=ports["postgres"])
    complete.preview()
    assert {
        role: complete.container(role).id for role in USERS if complete.container(role).status == "running"
    } == running
    complete.up()
    opened = [
        complete.container(*of).ports[inside] for *of, inside in (("postgres", "5432/tcp"), ("gateway", "8080/tcp"))
    ]
    assert [each["HostPort"] for bound in opened for each in bound or ()] == [str(port) for port in ports.values()]
    with complete.database() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    complete.preview_unchanged()
