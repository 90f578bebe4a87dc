"""The verdicts of doctor's checks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from contract.dumps import ListedDump
from ops.doctor import (
    certificate,
    collation,
    connections,
    database,
    disk,
    dumps,
    libraries,
    schema,
    services,
    uploads,
    wal,
)
from ops.doctor.certificate import DAY
from ops.doctor.check import State, Verdict
from ops.doctor.disk import GIB
from ops.doctor.subject import Subject

from .fake_docker import FakeContainer, labels
from .test_doctor import service, subject


@pytest.mark.parametrize(
    ("free", "whole", "state"),
    [
        (100 * GIB, 200 * GIB, "ok"),
        (30 * GIB, 200 * GIB, "ok"),
        (29 * GIB, 200 * GIB, "warning"),
        (9 * GIB, 200 * GIB, "broken"),
        (1 * GIB - 1, 2 * GIB, "broken"),
        (0, 0, "broken"),
    ],
)
def test_a_disk_is_full_before_nothing_is_free(free: int, whole: int, state: str) -> None:
    assert disk.judge("database", free, whole).state.value == state


def test_the_free_space_excludes_roots_reserve() -> None:
    table = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/a b  1000  300  600  34% /v"
    assert disk.room(table) == (600 * 1024, 900 * 1024)


@pytest.mark.parametrize(("used", "state"), [(79, "ok"), (80, "warning"), (96, "warning"), (97, "broken")])
def test_connections_are_used_up_when_only_the_superusers_are_left(used: int, state: str) -> None:
    assert connections.judge(used=used, most=100, reserved=3, remedy="end some").state.value == state


SLOT = {"name": "gone", "active": True, "status": "reserved", "bytes": 2**20}
ARCHIVE = {"has_command": True, "newest": "01", "failed": None, "failed_at": None, "failing": False}


@pytest.mark.parametrize(
    ("verdict", "state", "seen"),
    [
        (wal.slot(SLOT, "drop"), "ok", "the slot gone holds 1 MiB of WAL"),
        (wal.slot({**SLOT, "active": False}, "drop"), "warning", "has no reader"),
        (wal.slot({**SLOT, "status": "lost"}, "drop"), "broken", "is lost"),
        (wal.archive(ARCHIVE, "logs"), "ok", "archived up to 01"),
        (wal.archive({**ARCHIVE, "has_command": False}, "logs"), "warning", "archive_command is empty"),
        (
            wal.archive({**ARCHIVE, "failing": True, "failed": "02", "failed_at": "now"}, "logs"),
            "broken",
            "02 could not be archived at now UTC",
        ),
    ],
)
def test_a_slot_or_an_archiver_that_keeps_wal_is_reported(verdict: Verdict, state: str, seen: str) -> None:
    assert verdict.state.value == state
    assert seen in verdict.seen
    assert bool(verdict.remedy) == (state != "ok")


DUMP = ListedDump(
    name="before-3.17.2-1",
    created="2026-01-01T00:00:00+00:00",
    database="mlflow",
    from_revision=None,
    to_revision=None,
    from_version=None,
    to_version="3.17.2",
    size=5,
    sha256="",
    bytes_there=5,
)


@pytest.mark.parametrize(
    ("found", "state", "seen"),
    [
        ([], "ok", "none yet"),
        ([DUMP], "ok", "1 exist; the newest, before-3.17.2-1, is 9 days old"),
        ([DUMP, replace(DUMP, name="older", bytes_there=None)], "broken", "the file of older is missing"),
        ([replace(DUMP, bytes_there=4)], "broken", "has 4 bytes instead of 5"),
    ],
)
def test_a_dump_needs_its_complete_file(found: list[ListedDump], state: str, seen: str) -> None:
    verdict = dumps.judge(found, "backups", datetime(2026, 1, 10, tzinfo=UTC))
    assert (verdict.state.value, seen in verdict.seen) == (state, True)


@pytest.mark.parametrize(
    ("tls", "left", "state", "seen"),
    [
        ("files", 22 * DAY, "ok", "valid for 22 days"),
        ("files", 20 * DAY, "warning", "expires in 20 days: it should be more than 21 days"),
        ("acme", -3 * DAY, "broken", "expired 3 days ago"),
        ("internal", 5 * 3600, "ok", "valid for 5 hours"),
        ("internal", 3000, "warning", "expires in 1 hours"),
    ],
)
def test_a_certificate_must_be_renewed_in_time(tls: str, left: float, state: str, seen: str) -> None:
    verdict = certificate.judge(tls, "here", left, "renew")
    assert (verdict.state.value, seen in verdict.seen) == (state, True)


def test_a_stack_without_a_gateway_has_no_certificate() -> None:
    assert certificate.check(subject()).state is State.OK


NAME = "mlflow_postgres_runs_newest"


@pytest.mark.parametrize(
    ("index", "trouble"),
    [
        ([{"name": NAME, "valid": True, "made_as": "runs (a)"}], []),
        ([], [f"{NAME} is missing"]),
        ([{"name": NAME, "valid": False, "made_as": None}], [f"{NAME} is invalid"]),
        ([{"name": NAME, "valid": True, "made_as": "runs (b)"}], [f"{NAME} has another definition"]),
    ],
)
def test_an_index_must_be_valid_with_its_current_definition(index: list[dict[str, Any]], trouble: list[str]) -> None:
    assert schema.compare({NAME: "runs (a)"}, index) == trouble


def test_a_collation_without_a_version_does_not_change() -> None:
    changed = {"name": "the database", "made": "2.40", "now": "2.41"}
    found: list[dict[str, Any]] = [{"name": "C", "made": None, "now": None}, {**changed, "now": "2.40"}, changed]
    assert collation.changed(found) == [changed]


def stack(**changed: FakeContainer) -> Subject:
    """A healthy stack, except for the given containers."""
    well = {
        "postgres": service("postgres"),
        "mlflow": service("mlflow"),
        "mlflow-courier": FakeContainer(
            "mlflow-postgres-dev-mlflow-courier", labels=labels("mlflow-courier", kind="courier"), status="created"
        ),
        "schema": FakeContainer("mlflow-postgres-dev-schema", labels=labels("schema", kind="task"), status="exited"),
    }
    return subject(*(well | changed).values())


SCHEMA_AT_WORK = FakeContainer("mlflow-postgres-dev-schema", labels=labels("schema", kind="task"))


def test_services_are_healthy_and_the_task_has_succeeded() -> None:
    assert services.check(stack()).seen == "mlflow, postgres are healthy; schema succeeded"


@pytest.mark.parametrize(
    ("container", "state", "seen"),
    [
        (service("mlflow", status="exited", health="unhealthy"), "broken", "mlflow is exited and unhealthy"),
        (service("mlflow", health="starting"), "warning", "mlflow is running and starting"),
        (service("mlflow", status="paused"), "broken", "mlflow is paused"),
        (SCHEMA_AT_WORK, "warning", "schema is running with exit code 0"),
        (FakeContainer("theirs"), "broken", "mlflow is missing"),
    ],
)
def test_an_unhealthy_service_is_named(container: FakeContainer, state: str, seen: str) -> None:
    role = "schema" if container is SCHEMA_AT_WORK else "mlflow"
    verdict = services.check(stack(**{role: container}))
    assert (verdict.state.value, verdict.seen) == (state, seen)


def test_a_database_that_does_not_answer_is_broken() -> None:
    verdict = database.check(stack())
    assert (verdict.state, verdict.remedy.startswith("make logs STACK=dev")) == (State.BROKEN, True)


def test_a_library_that_is_not_loaded_makes_requests_slow() -> None:
    server = service("mlflow", prints={"httptools": "uvloop\n"})
    assert libraries.check(subject(server)).seen == "httptools not in use: requests are slower"


def test_files_of_interrupted_uploads_are_counted_and_the_remedy_removes_them() -> None:
    server = service("mlflow", prints={"%s": "1048576\n3145728\n"})
    verdict = uploads.check(subject(server))
    assert verdict.state is State.WARNING
    assert verdict.seen == "2 files of interrupted uploads use 4 MiB"
    assert verdict.remedy == (
        "docker exec mlflow-postgres-dev-mlflow "
        "find /mlartifacts -name '.artifact.uploading.*' -type f -mmin +1440 -delete"
    )
    assert uploads.check(subject(service("mlflow", prints={"%s": ""}))).state is State.OK
