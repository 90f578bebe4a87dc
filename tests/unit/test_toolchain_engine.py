"""toolchain/: what it decides about the Docker engine, and its client of the engine's API."""

from __future__ import annotations

import http.server
import os
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolchain import progress
from toolchain.engine import Answer, Plan, Situation, ask, decide, live_pid
from toolchain.engine_api import ApiError, Engine

CHECKOUT = Path(__file__).parents[2]

# --- the engine: decisions


def situation(
    answer: Answer,
    docker_host: str | None = None,
    has_dockerd: bool = False,
    is_root: bool = True,
    is_debian: bool = True,
    socket_group: str = "docker",
) -> Situation:
    return Situation(docker_host, answer, has_dockerd, is_root, is_debian, socket_group)


@pytest.mark.parametrize(
    ("seen", "plan"),
    [
        (situation(Answer.YES, is_root=False, is_debian=False), Plan.NOTHING),
        (situation(Answer.YES, docker_host="tcp://h:2375"), Plan.NOTHING),
        (situation(Answer.UNKNOWN, docker_host="ssh://h"), Plan.NOTHING),
        (situation(Answer.NO), Plan.INSTALL),
        (situation(Answer.NO, has_dockerd=True), Plan.START),
        (situation(Answer.NO, has_dockerd=True, is_debian=False), Plan.START),
    ],
)
def test_engine_decision(seen: Situation, plan: Plan) -> None:
    assert decide(seen) is plan


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (situation(Answer.NO, docker_host="tcp://h:1", has_dockerd=True), ["DOCKER_HOST=tcp://h:1", "unset"]),
        (situation(Answer.FORBIDDEN, is_root=False, socket_group="dock"), ["group dock", "usermod -aG dock"]),
        (situation(Answer.FORBIDDEN, docker_host="unix:///s", is_root=False), ["/s", "usermod"]),
        (situation(Answer.NO, is_root=False), ["only root", "apt-get install"]),
        (situation(Answer.NO, is_root=False, has_dockerd=True), ["systemctl start docker"]),
        (situation(Answer.NO, is_root=False, is_debian=False), ["install Docker Engine"]),
        (situation(Answer.NO, is_debian=False), ["not Debian 12 or 13", "install Docker Engine"]),
    ],
)
def test_an_error_says_what_only_the_user_can_do(seen: Situation, words: list[str]) -> None:
    with pytest.raises(progress.Failure) as caught:
        decide(seen)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_stale_pid_files(tmp_path: Path) -> None:
    pid_file = tmp_path / "docker.pid"
    assert live_pid(pid_file, "dockerd") is None
    for text in ["", "no number", "4194305", str(os.getpid())]:
        pid_file.write_text(text)
        assert live_pid(pid_file, "dockerd") is None
    for state, expected in [("S", 7), ("Z", None)]:
        (tmp_path / "7").mkdir(exist_ok=True)
        (tmp_path / "7" / "stat").write_text(f"7 (dockerd) {state} 1 7")
        pid_file.write_text("7\n")
        assert live_pid(pid_file, "dockerd", tmp_path) == expected


# --- the engine: the API


class FakeEngine(http.server.BaseHTTPRequestHandler):
    """Answers as the engine does; `late` is a line that the stream of a build or pull ends with."""

    late = b'{"status": "done"}\n'
    images: dict[str, bytes] = {}  # noqa: RUF012 - set by the tests
    seen: list[tuple[str, bytes]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        name = self.path.removeprefix("/images/").removesuffix("/json")
        if self.path == "/_ping":
            self._send(200, b"OK")
        elif name in self.images:
            self._send(200, self.images[name])
        else:
            self._send(404, b'{"message": "No such image"}')

    def do_POST(self) -> None:
        body = b""
        while self.headers.get("Transfer-Encoding") == "chunked" and (size := int(self.rfile.readline(), 16)):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.seen.append((self.path, body))
        self._send(200, b'{"stream": "Step 1\\n"}\n' + self.late)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "socket"

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr(FakeEngine, "seen", [])
    monkeypatch.setattr(FakeEngine, "images", {})
    with socketserver.ThreadingUnixStreamServer(str(tmp_path / "s"), FakeEngine) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Engine(f"unix://{tmp_path / 's'}")
        server.shutdown()


def test_engine_answers(engine: Engine, tmp_path: Path) -> None:
    assert ask(engine) is Answer.YES
    assert ask(Engine(f"unix://{tmp_path}/none")) is Answer.NO
    assert ask(Engine("tcp://127.0.0.1:1")) is Answer.NO
    assert ask(Engine("ssh://host")) is Answer.UNKNOWN


def test_permission_error_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_: Engine) -> None:
        raise PermissionError

    monkeypatch.setattr(Engine, "ping", closed)
    assert ask(Engine()) is Answer.FORBIDDEN


def test_labels_tell_missing_official_and_ours_apart(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"official:1": b'{"Id": "a", "Config": {"Labels": null}}', "ours:1": b'{"Config": {"Labels": {"l": "k"}}}'}
    monkeypatch.setattr(FakeEngine, "images", found)
    assert engine.image_labels("none:1") is None
    assert engine.image_labels("official:1") == {}
    assert engine.image_labels("ours:1") == {"l": "k"}


def test_build_sends_the_context_and_a_late_error_is_raised(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.build("name:tag", b"archive", {"l": "k"}, {})
    path, body = FakeEngine.seen[0]
    assert path.startswith("/build?t=name%3Atag&networkmode=host")
    assert body == b"archive"
    monkeypatch.setattr(FakeEngine, "late", b'{"error": "no space left on device"}\n')
    with pytest.raises(ApiError, match=r"(?s)Step 1.*no space left"):
        engine.build("name:tag", b"archive", {}, {})
