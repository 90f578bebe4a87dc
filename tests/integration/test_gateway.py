"""The example for a team as it is met from another machine: a network namespace of its own, behind a cable."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .harness import Deployment
from .production import HOSTNAME, HTTP, HTTPS

MIB = 2**20
GIB = 2**30

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a network namespace; CI is root")


class Neighbour:
    """Another machine on the same cable as this one."""

    def __init__(self) -> None:
        self.name = f"it-{uuid.uuid4().hex[:6]}"
        third = uuid.uuid4().int % 250
        self.host, self.address = f"198.18.{third}.1", f"198.18.{third}.2"
        for command in (
            f"ip netns add {self.name}",
            f"ip link add {self.name} type veth peer name eth0 netns {self.name}",
            f"ip address add {self.host}/30 dev {self.name}",
            f"ip link set {self.name} up",
            f"ip -n {self.name} address add {self.address}/30 dev eth0",
            f"ip -n {self.name} link set eth0 up",
            f"ip -n {self.name} link set lo up",
            # As whoever is on the same network may do, to try containers' own addresses.
            f"ip -n {self.name} route add default via {self.host}",
        ):
            subprocess.run(command.split(), check=True)
        # What `ip netns exec` shows as /etc/hosts.
        self.names = Path("/etc/netns") / self.name
        self.names.mkdir(parents=True)
        (self.names / "hosts").write_text(f"127.0.0.1 localhost\n{self.host} {HOSTNAME}\n")

    def remove(self) -> None:
        shutil.rmtree(self.names)
        subprocess.run(["ip", "netns", "delete", self.name], check=True)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", self.name, *command],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def open_ports(self, address: str, ports: list[int]) -> set[int]:
        """Those of some TCP ports of an address that answer."""
        script = (
            "import json, socket, sys\n"
            "found = []\n"
            "for port in json.loads(sys.argv[2]):\n"
            "    with socket.socket() as probe:\n"
            "        probe.settimeout(0.5)\n"
            "        if probe.connect_ex((sys.argv[1], port)) == 0: found.append(port)\n"
            "print(json.dumps(found))\n"
        )
        return set(json.loads(self.run(sys.executable, "-c", script, address, json.dumps(ports)).stdout))


@dataclass
class Front:
    """A stack with a front door, and somebody who stands before it."""

    stack: Deployment
    neighbour: Neighbour
    certificate: Path
    password: str

    def curl(self, path: str, *options: str, port: int = HTTPS, scheme: str = "https") -> tuple[int, str]:
        """A request of the neighbour's: the status, 0 if there was none, and what else was said."""
        done = self.neighbour.run(
            *("curl", "--silent", "--show-error", "--max-time", "30", "--cacert", str(self.certificate)),
            *("--write-out", "\n%{http_code} %{redirect_url}", *options),
            f"{scheme}://{HOSTNAME}:{port}{path}",
        )
        code, _, redirect = done.stdout.rpartition("\n")[2].partition(" ")
        return int(code), redirect or done.stderr


@pytest.fixture(scope="module")
def front(production: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    neighbour = Neighbour()
    try:
        certificate = tmp_path_factory.mktemp("front") / "root.crt"
        certificate.write_text(production.execute("gateway", "cat", "/data/caddy/pki/authorities/local/root.crt"))
        yield Front(production, neighbour, certificate, str(production.outputs()["admin_password"]))
    finally:
        neighbour.remove()


EXPERIMENTS = "/api/2.0/mlflow/experiments/search?max_results=1"


PORTS_INSIDE = [5000, 5432, 8080, 8443]


def test_nothing_answers_but_the_gateways_ports(front: Front) -> None:
    open_ports = front.neighbour.open_ports(front.neighbour.host, [HTTPS, HTTP, *PORTS_INSIDE])
    assert open_ports == {HTTPS, HTTP}


@pytest.mark.parametrize("role", ["mlflow", "postgres"])
def test_a_containers_own_address_answers_nobody_outside(front: Front, role: str) -> None:
    addresses = [
        each["IPAddress"] for each in front.stack.container(role).attrs["NetworkSettings"]["Networks"].values()
    ]
    assert all(addresses)
    assert [front.neighbour.open_ports(each, PORTS_INSIDE) for each in addresses] == [set()] * len(addresses)


def test_without_sign_in_401(front: Front) -> None:
    assert front.curl(EXPERIMENTS)[0] == 401
    assert front.curl(EXPERIMENTS, "--user", "admin:wrong-password")[0] == 401


def test_with_it_200(front: Front) -> None:
    assert front.curl(EXPERIMENTS, "--user", f"admin:{front.password}")[0] == 200


def test_a_wrong_host_403(front: Front) -> None:
    assert front.curl(EXPERIMENTS, "--header", "Host: evil.test")[0] == 403
    assert front.curl(EXPERIMENTS, "--header", "Host: evil.test", port=HTTP, scheme="http")[0] == 403


def test_an_unknown_name_gets_no_certificate(front: Front) -> None:
    done = front.neighbour.run(
        *(
            "curl",
            "--silent",
            "--show-error",
            "--insecure",
            "--resolve",
            f"evil.test:{HTTPS}:{front.neighbour.host}",
        ),
        f"https://evil.test:{HTTPS}/",
    )
    assert "alert" in done.stderr


def test_http_is_sent_to_https(front: Front) -> None:
    code, where = front.curl("/a?b=c", port=HTTP, scheme="http")
    assert (code, where) == (308, f"https://{HOSTNAME}/a?b=c")


@pytest.mark.parametrize(("version", "works"), [("1.0", False), ("1.1", False), ("1.2", True), ("1.3", True)])
def test_tls_is_1_2_or_better(front: Front, version: str, works: bool) -> None:
    # The client's own rule would forbid the old ones, and prove nothing of the server.
    done = front.neighbour.run(
        *("openssl", "s_client", "-connect", f"{front.neighbour.host}:{HTTPS}", "-servername", HOSTNAME),
        *("-cipher", "DEFAULT@SECLEVEL=0", f"-tls{version.replace('.', '_').replace('1_0', '1')}"),
        *("-CAfile", str(front.certificate), "-verify_return_error"),
    )
    assert (done.returncode == 0) == works, done.stdout + done.stderr


def test_a_web_page_of_elsewhere_may_not_ask(front: Front) -> None:
    options = ("--user", f"admin:{front.password}", "--header", "Origin: https://evil.test", "--request", "POST")
    assert front.curl("/api/2.0/mlflow/runs/search", *options)[0] == 403


def test_a_body_that_is_too_big_for_a_call_413(front: Front, tmp_path: Path) -> None:
    body = tmp_path / "body"
    with body.open("wb") as file:
        file.truncate(101 * 10**6)
    options = ("--user", f"admin:{front.password}", "--data-binary", f"@{body}")
    assert front.curl("/api/2.0/mlflow/runs/log-batch", *options)[0] == 413


def test_who_came_in_is_not_written_into_the_log(front: Front) -> None:
    front.curl(EXPERIMENTS, "--user", f"admin:{front.password}")
    token = base64.b64encode(f"admin:{front.password}".encode()).decode()
    for role in ("gateway", "mlflow"):
        said = front.stack.container(role).logs().decode()
        assert token not in said
        assert front.password not in said
    assert EXPERIMENTS in front.stack.container("gateway").logs().decode()


def test_two_gigabytes_go_through_without_being_held_in_memory(front: Front, tmp_path: Path) -> None:
    """Through MLflow's own client, which trusts the platform's authority; the memory is what is no file cache."""
    # What the server imports with its first artifact stays, whatever the artifact's size.
    with log_artifact(front, tmp_path, MIB) as small:
        assert small.communicate()[0].strip() == str(MIB)
    before = {role: anonymous_memory(front.stack, role) for role in ("gateway", "mlflow")}
    most = dict(before)
    with log_artifact(front, tmp_path, 2 * GIB) as client:
        while client.poll() is None:
            most = {role: max(most[role], anonymous_memory(front.stack, role)) for role in most}
        printed, complaint = client.communicate()
    assert printed.strip() == str(2 * GIB), complaint
    more = {role: (most[role] - before[role]) / MIB for role in most}
    assert max(more.values()) < 200, more


def log_artifact(front: Front, folder: Path, size: int) -> subprocess.Popen[str]:
    """Start a client in the neighbour's network that logs a file of that many bytes and prints what the server has."""
    artifact = folder / f"{size}.bin"
    with artifact.open("wb") as file:
        file.truncate(size)
    script = (
        "import mlflow, sys\n"
        "client = mlflow.MlflowClient()\n"
        "experiment = client.create_experiment(sys.argv[1])\n"
        "run = client.create_run(experiment)\n"
        "client.log_artifact(run.info.run_id, sys.argv[1])\n"
        "print(client.list_artifacts(run.info.run_id)[0].file_size)\n"
    )
    return subprocess.Popen(
        ["ip", "netns", "exec", front.neighbour.name, sys.executable, "-c", script, str(artifact)],
        env={
            **os.environ,
            "MLFLOW_TRACKING_URI": f"https://{HOSTNAME}",
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": front.password,
            "MLFLOW_TRACKING_SERVER_CERT_PATH": str(front.certificate),
            "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def anonymous_memory(stack: Deployment, role: str) -> int:
    """Bytes that a container's processes hold, without the cache of files."""
    said = stack.container(role).stats(stream=False, one_shot=True)
    assert isinstance(said, dict)
    statistics = said["memory_stats"]["stats"]
    # The second name is that of the former kind of control groups.
    return int(statistics["anon"] if "anon" in statistics else statistics["total_rss"])
