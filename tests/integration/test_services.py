"""What runs, as what, reached from where, and the commands to look at it."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import Deployment

USERS = {"postgres": "999", "mlflow": "65534", "adminer": "33", "gateway": "65534", "gc": "65534"}
"""The services, and the user id of each."""
TASK = "schema"


@pytest.fixture(scope="module")
def complete(own_stack: Deployment) -> Deployment:
    """A stack with everything switched on."""
    own_stack.configure(adminer=True, hostname="localhost", tls="internal", signIn=True, gcAfterDays=30)
    own_stack.up()
    return own_stack


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
    # Behind the gateway, with no port of its own.
    ("mlflow", []),
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
        assert stranger.wait(timeout=60)["StatusCode"]
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
