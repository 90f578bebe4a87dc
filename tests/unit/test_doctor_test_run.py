"""Doctor's test run, on a fake tracking server."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ops.doctor import test_run
from ops.doctor.api_client import ApiClient, ApiError
from ops.doctor.check import State
from ops.doctor.subject import Subject, subject_of

from .fake_docker import FakeDocker
from .test_doctor import OUTPUTS, service

PASSWORD = "a-password-of-a-test"

Answer = tuple[int, object]


class Server(HTTPServer):
    """Answers by the end of the path, and records its calls."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.asked: list[str] = []
        self.credentials: set[str | None] = set()


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call = self.path.removeprefix("/api/2.0/mlflow/").partition("?")[0]
        self.server.asked.append(call)
        self.server.credentials.add(self.headers.get("Authorization"))
        status, said = self.server.answers[call]
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Print nothing."""


# The tables that name a run are asked for, in the words of whatever MLflow is there; then the rows go.
TAKEN_AWAY = {
    "confrelid = 'public.runs'::regclass": '[{"name": "new", "run": "\\"a run\\""}]',
    'DELETE FROM new WHERE "a run" IN (SELECT run_uuid FROM public.runs': "\n",
}

READ = {"metrics": [{"key": "asked", "value": 1.0}], "params": [{"key": "asked", "value": "yes"}]}
ANSWERS: dict[str, Answer] = {
    "experiments/get-by-name": (200, {"experiment": {"experiment_id": "7", "lifecycle_stage": "active"}}),
    "experiments/create": (200, {"experiment_id": "8"}),
    "experiments/restore": (200, {}),
    "runs/create": (200, {"run": {"info": {"run_id": "r"}}}),
    "runs/log-batch": (200, {}),
    "runs/get": (200, {"run": {"data": READ}}),
    "runs/delete": (200, {}),
}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(dict(ANSWERS)) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


def subject(server: Server, **outputs: str) -> Subject:
    containers = [service("mlflow"), service("postgres", prints=TAKEN_AWAY)]
    url = f"http://127.0.0.1:{server.server_port}"
    return subject_of(FakeDocker(containers=containers).connect(), "dev", {**OUTPUTS, "tracking_url": url, **outputs})


def test_a_run_is_logged_read_back_and_deleted(server: Server) -> None:
    assert test_run.check(subject(server)).state is State.OK
    assert server.asked == ["experiments/get-by-name", "runs/create", "runs/log-batch", "runs/get", "runs/delete"]
    assert server.credentials == {None}


@pytest.mark.parametrize(
    ("answer", "call"),
    [
        ((404, {}), "experiments/create"),
        ((200, {"experiment": {"experiment_id": "7", "lifecycle_stage": "deleted"}}), "experiments/restore"),
    ],
)
def test_the_experiment_is_created_or_restored(server: Server, answer: Answer, call: str) -> None:
    server.answers["experiments/get-by-name"] = answer
    assert test_run.check(subject(server)).state is State.OK
    assert call in server.asked


@pytest.mark.parametrize(
    ("call", "answer", "seen"),
    [
        ("experiments/get-by-name", (401, {}), "experiments/get-by-name at http://127.0.0.1:{port} answered 401"),
        ("runs/create", (302, {}), "runs/create at http://127.0.0.1:{port} answered 302"),
        (
            "runs/get",
            (200, {"run": {"data": {}}}),
            "what was logged through http://127.0.0.1:{port} was not read back: []",
        ),
        (
            "experiments/get-by-name",
            (200, {"experiment": {"experiment_id": "7 OR true", "lifecycle_stage": "active"}}),
            "the experiment's id is '7 OR true': it must be a number",
        ),
    ],
)
def test_a_wrong_response_is_broken(server: Server, call: str, answer: Answer, seen: str) -> None:
    server.answers[call] = answer
    verdict = test_run.check(subject(server))
    assert (verdict.state, verdict.seen) == (State.BROKEN, seen.format(port=server.server_port))
    assert verdict.remedy == "make logs STACK=dev, which says why"


def test_the_password_is_sent_but_not_to_the_target_of_a_redirect(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Subject, "secret", lambda *_: PASSWORD)
    server.answers["experiments/get-by-name"] = (302, {})
    verdict = test_run.check(subject(server, admin_username="admin"))
    assert server.asked == ["experiments/get-by-name"]
    assert server.credentials == {f"Basic {base64.b64encode(f'admin:{PASSWORD}'.encode()).decode()}"}
    assert PASSWORD not in verdict.seen


def test_a_refused_connection_is_reported_with_its_address(server: Server) -> None:
    url = "http://127.0.0.1:1"
    no_answer = pytest.raises(ApiError, match=f"runs/get at {url} got no answer")
    with ApiClient(subject(server, tracking_url=url)) as client, no_answer:
        client.call("GET", "runs/get")
