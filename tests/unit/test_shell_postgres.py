"""The scripts of PostgreSQL's image, as far as they need no server: who may sign in, and what is refused at once."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from .deploy import IMAGES

BIN = IMAGES / "postgres" / "bin"
USUAL = {
    "MLFLOW_POSTGRES_USER": "tracker",
    "MLFLOW_POSTGRES_DATABASE": "runs",
    "MLFLOW_POSTGRES_INTERNAL_NETWORK": "172.20.0.0/16",
    "MLFLOW_POSTGRES_PUBLISHED_TO": "nobody",
    "MLFLOW_POSTGRES_MONITOR_CONNECTIONS": "0",
}


def run(script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **USUAL, **variables}
    command = [str(BIN / script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def rules(folder: Path, **variables: str) -> list[tuple[str, str, str, str]]:
    """Database, roles, from where, and how, in the order in which they are tried; the local socket's line aside."""
    done = run("write-rules", str(folder / "pg_hba.conf"), **variables)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    local, *lines = [line.split() for line in (folder / "pg_hba.conf").read_text().splitlines()]
    assert local[:3] == ["local", "all", "all"]
    assert {line[0] for line in lines} == {"host"}
    return [(database, roles, place, how) for _, database, roles, place, how in lines]


def admitted(folder: Path, **variables: str) -> dict[str, set[str]]:
    """The roles that may sign in with their password, by the network that they come from."""
    lines = [line for line in rules(folder, **variables) if line[3] != "reject"]
    assert {how for *_, how in lines} == {"scram-sha-256"}, "with trust, everybody in reach signs in"
    assert {database for database, *_ in lines} == {'"runs"'}, "and nobody into another database"
    return {place: set(roles.split(",")) for _, roles, place, _ in lines}


SERVER, OWNER, READONLY = '"tracker"', '"tracker_owner"', '"tracker_readonly"'
INSIDE = {"172.20.0.0/16": {SERVER, OWNER, READONLY}, "127.0.0.1/32": {SERVER}}


def test_the_owner_signs_in_only_from_the_internal_network(tmp_path: Path) -> None:
    assert admitted(tmp_path) == INSIDE


@pytest.mark.parametrize("who", ["nobody", "samenet", "all"])
def test_the_monitoring_role_signs_in_only_from_the_internal_network(tmp_path: Path, who: str) -> None:
    _, inside, *_ = [line for line in rules(tmp_path) if line[3] != "reject"]
    assert '"tracker_monitor"' not in inside[1], "nobody watches"
    found = rules(tmp_path, MLFLOW_POSTGRES_PUBLISHED_TO=who, MLFLOW_POSTGRES_MONITOR_CONNECTIONS="5")
    monitor = {(place, how) for _, roles, place, how in found if "tracker_monitor" in roles}
    assert monitor == {("172.20.0.0/16", "scram-sha-256")}


@pytest.mark.parametrize("who", ["samenet", "all"])
def test_a_published_port_admits_all_roles_but_the_owner(tmp_path: Path, who: str) -> None:
    assert admitted(tmp_path, MLFLOW_POSTGRES_PUBLISHED_TO=who) == {**INSIDE, who: {SERVER, READONLY}}


@pytest.mark.parametrize("who", ["nobody", "samenet", "all"])
def test_all_other_connections_are_rejected(tmp_path: Path, who: str) -> None:
    assert rules(tmp_path, MLFLOW_POSTGRES_PUBLISHED_TO=who)[-1] == ("all", "all", "all", "reject")


def test_connections_from_inside_the_container_are_rejected(tmp_path: Path) -> None:
    lines = rules(tmp_path, MLFLOW_POSTGRES_PUBLISHED_TO="samenet")
    rejected = [lines.index(("all", "all", place, "reject")) for place in ("127.0.0.0/8", "::1/128")]
    assert max(rejected) < next(number for number, line in enumerate(lines) if line[2] == "samenet")


@pytest.mark.parametrize("network", ["", "172.20.0.0", "fd00::/8", "all", "172.20.0.0/16 trust\nhost all all all"])
def test_an_invalid_network_is_refused(tmp_path: Path, network: str) -> None:
    done = run("write-rules", str(tmp_path / "rules"), MLFLOW_POSTGRES_INTERNAL_NETWORK=network)
    assert done.returncode == 64, "its text would be a rule of its own"
    assert done.stderr.startswith(f"write-rules: MLFLOW_POSTGRES_INTERNAL_NETWORK is '{network}'")
    assert "Mend it with: " in done.stderr
    assert not (tmp_path / "rules").exists()


@pytest.mark.parametrize("who", ["", "everybody", "0.0.0.0/0"])
def test_an_unknown_value_of_published_to_is_refused(tmp_path: Path, who: str) -> None:
    done = run("write-rules", str(tmp_path / "rules"), MLFLOW_POSTGRES_PUBLISHED_TO=who)
    assert done.returncode == 64
    assert f"is '{who}': it must be nobody, samenet or all. Mend it with: " in done.stderr


def test_an_image_of_another_major_is_refused_with_the_version_to_set() -> None:
    done = run("serve", "postgres", PG_MAJOR="16", PGDATA="/nowhere", MLFLOW_POSTGRES_MAJOR="17")
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr == (
        "serve: postgresImage is PostgreSQL 16, and postgresVersion says 17. "
        "Mend it with: bin/pulumi config set postgresVersion 16\n"
    )


def test_a_role_name_too_long_for_the_other_roles_is_refused() -> None:
    done = run("prepare-database", MLFLOW_POSTGRES_USER="a" * 55)
    assert done.returncode == 64, "PostgreSQL cuts a long name without a word, and the three would become one"
    assert "and may have 54" in done.stderr
    assert "Mend it with: bin/pulumi config set postgresUser" in done.stderr


@pytest.mark.skipif(Path("/run/secrets/owner-password").exists(), reason="this machine has such a secret")
def test_without_its_passwords_the_database_is_not_prepared() -> None:
    done = run("prepare-database")
    assert done.returncode == 64, "a role without a password could never sign in"
    assert done.stderr.startswith("prepare-database: /run/secrets/owner-password is empty, or ")


def test_a_recovery_may_take_days() -> None:
    script = (IMAGES / "postgres" / "bin" / "serve").read_text()
    starts = re.findall(r"--timeout=(\d+) --silent \\\n.* start$", script, re.MULTILINE)
    assert [int(seconds) >= 7 * 24 * 3600 for seconds in starts] == [True]
