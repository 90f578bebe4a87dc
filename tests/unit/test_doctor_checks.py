"""The verdicts of doctor's checks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from contract.dumps import ListedDump
from contract.schema import Requirements
from ops.doctor import (
    application,
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
from ops.doctor.subject import NotTried, Subject

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


@pytest.mark.parametrize(
    ("compared", "found", "is_aside"),
    [(["a", "b"], ["b"], False), (["a"], ["b"], True), ([], ["b"], True), (["a"], [], True), (["a"], ["a", "b"], True)],
)
def test_the_application_stands_aside_on_what_it_was_not_compared_with(
    compared: list[str], found: list[str], is_aside: bool
) -> None:
    seen = application.standing_aside("3.17.2", compared, found)
    assert bool(seen) == is_aside
    assert not is_aside or ("MLflow 3.17.2" in seen and all(each in seen for each in found))


METRICS = """# HELP mlflow_http_requests_total Requests that were answered.
# TYPE mlflow_http_requests_total counter
mlflow_http_requests_total{method="POST",route="/api/2.0/mlflow/runs/create",status="200"} 1990.0
mlflow_http_requests_total{method="POST",route="/api/2.0/mlflow/runs/create",status="404"} 5.0
mlflow_http_requests_total{method="POST",route="/ajax-api/2.0/mlflow/runs/create",status="200"} 5.0
mlflow_http_requests_total{method="GET",route="/api/3.0/mlflow/traces/{trace_id}",status="200"} 8e+02
mlflow_http_requests_total{method="GET",route="other",status="404"} 700.0
mlflow_application_requests_total{method="POST",route="/api/2.0/mlflow/runs/create"} 1990.0
mlflow_application_requests_total{method="POST",route="/ajax-api/2.0/mlflow/runs/create"} 5.0
mlflow_application_requests_created{method="POST",route="/ajax-api/2.0/mlflow/runs/create"} 1.7e+09
"""


def test_the_share_of_the_application_is_told_by_route() -> None:
    told = "it answered 71% of 2,800 calls: runs/create 99% of 2,000, traces/{trace_id} 0% of 800"
    assert application.shares(METRICS) == told
    assert application.shares("") == "nobody has called the API since MLflow started"
    many = "".join(METRICS.splitlines(keepends=True)[2].replace("create", f"call-{number}") for number in range(30))
    assert application.shares(many).count("0% of 1,990") == 10, "a line and not a page"


@contextmanager
def serving_metrics() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(METRICS.encode())

        def log_message(self, format: str, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def answering(monkeypatch: pytest.MonkeyPatch, revision: str) -> None:
    wanted = Requirements(mlflow="3.17.2", revisions={}, indexes={}, compared=["a"])
    monkeypatch.setattr(schema, "required", lambda _: wanted)
    monkeypatch.setattr(Subject, "query", lambda *_: f"{revision}\n")


def test_the_application_is_checked_with_and_without_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "a")
    assert application.check(stack()).seen == "it answers the most frequent calls"
    measured = replace(stack(), outputs={"mlflow_metrics_url": "http://127.0.0.1:1/metrics"})
    with pytest.raises(NotTried, match=r"gave no metrics: .*refused"):
        application.check(measured)
    with serving_metrics() as url:
        measured = replace(stack(), outputs={"mlflow_metrics_url": f"{url}/elsewhere"})
        with pytest.raises(NotTried, match="it answered 404"):
            application.check(measured)
        measured = replace(stack(), outputs={"mlflow_metrics_url": f"{url}/metrics"})
        assert application.check(measured).seen.startswith("it answered 71%")
    answering(monkeypatch, "b")
    assert application.check(measured).seen.startswith("it stands aside")
    assert application.check(measured).state.value == "ok"


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
