"""toolchain/: what it decides and how it knows that things are whole. No engine, no network, no Go."""

from __future__ import annotations

import http.server
import os
import socketserver
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from toolchain import debian, golang, images, processes, progress, pulumi, rootfs
from toolchain.__main__ import in_lanes
from toolchain.cache import alone, broken_file, cache_folder, key_of, mounts_below, point, remove_tree, write_manifest
from toolchain.engine import Answer, Plan, Situation, ask, decide, live_pid
from toolchain.engine_api import ApiError, Engine

CHECKOUT = Path(__file__).parents[2]


# --- where things are kept, and keys


def test_cache_is_where_bin_pulumi_looks() -> None:
    assert cache_folder({"HOME": "/h"}) == Path("/h/.cache/mlflow-postgres")
    assert cache_folder({"HOME": "/h", "XDG_CACHE_HOME": "/x"}) == Path("/x/mlflow-postgres")
    assert cache_folder({"HOME": "/h", "XDG_CACHE_HOME": ""}) == Path("/h/.cache/mlflow-postgres")


def folder_with(place: Path, **files: str) -> Path:
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name).write_text(text)
    return place


def test_key_does_not_depend_on_the_place_of_the_checkout(tmp_path: Path) -> None:
    one = folder_with(tmp_path / "a" / "in", x="1", y="2")
    other = folder_with(tmp_path / "b" / "in", y="2", x="1")
    assert key_of([one, "v1"]) == key_of([other, "v1"])


def test_key_changes_with_content_name_and_text(tmp_path: Path) -> None:
    keys = {
        key_of([folder_with(tmp_path / "a" / "in", x="1"), "v1"]),
        key_of([folder_with(tmp_path / "b" / "in", x="2"), "v1"]),
        key_of([folder_with(tmp_path / "c" / "in", z="1"), "v1"]),
        key_of([tmp_path / "a" / "in", "v2"]),
    }
    assert len(keys) == 4
    assert key_of(["ab", "c"]) != key_of(["a", "bc"])


# --- the manifest


@pytest.fixture
def built(tmp_path: Path) -> tuple[Path, Path]:
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_bytes(b"program")
    program.chmod(0o755)
    write_manifest(tmp_path / "manifest.json", tmp_path, [program])
    return tmp_path / "manifest.json", program


def test_whole_files_pass(built: tuple[Path, Path]) -> None:
    manifest, program = built
    assert broken_file(manifest, program.parents[1]) is None


def test_no_manifest_means_nothing_was_completed(tmp_path: Path) -> None:
    assert broken_file(tmp_path / "manifest.json", tmp_path) == ""


def test_new_time_and_old_content_is_whole_and_learnt(built: tuple[Path, Path]) -> None:
    manifest, program = built
    os.utime(program, (1, 1))
    assert broken_file(manifest, program.parents[1]) is None
    assert '"mtime_ns": 1000000000' in manifest.read_text()


@pytest.mark.parametrize("damage", ["content", "size", "gone", "not executable"])
def test_damage_is_found(built: tuple[Path, Path], damage: str) -> None:
    manifest, program = built
    if damage == "content":
        program.write_bytes(b"PROGRAM")
        os.utime(program, (1, 1))
    elif damage == "size":
        program.write_bytes(b"")
    elif damage == "gone":
        program.unlink()
    else:
        program.chmod(0o644)
    assert broken_file(manifest, program.parents[1]) == "bin/pulumi"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"bin/pulumi": {}}'])
def test_broken_manifest_is_found(built: tuple[Path, Path], text: str) -> None:
    manifest, program = built
    manifest.write_text(text)
    assert broken_file(manifest, program.parents[1]) == "manifest.json"


def test_link_is_moved_in_one_go_and_replaces_a_folder(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "bin").mkdir()
    point(tmp_path / "bin", "one")
    point(tmp_path / "bin", "two")
    assert os.readlink(tmp_path / "bin") == "two"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "one"]


def test_nothing_is_deleted_under_a_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "a b"
    root.mkdir()
    table = tmp_path / "mounts"
    table.write_text(f"proc {tmp_path}/a\\040b/proc proc rw 0 0\nx {tmp_path}/a\\040bc none rw 0 0\n")
    found = mounts_below(root, table)
    assert found == [f"{tmp_path}/a b/proc"]
    monkeypatch.setattr("toolchain.cache.mounts_below", lambda *_: found)
    with pytest.raises(progress.Failure, match="deleting"):
        remove_tree(root)
    assert root.exists()


# --- the lock


def test_second_run_waits_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def second() -> None:
        with alone(tmp_path):
            order.append("second")

    with alone(tmp_path):
        waiting = threading.Thread(target=second)
        waiting.start()
        deadline = time.monotonic() + 5
        while "waiting" not in capsys.readouterr().err and time.monotonic() < deadline:
            time.sleep(0.01)
        order.append("first")
    waiting.join(5)
    assert order == ["first", "second"]


def test_lock_of_a_dead_run_does_not_hold(tmp_path: Path) -> None:
    code = "import os, sys; from pathlib import Path; from toolchain.cache import alone\n"
    code += f"with alone(Path({str(tmp_path)!r})): os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=False).returncode == 9
    with alone(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_cache_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(progress.Failure, match="writing to the cache"), alone(tmp_path / "file" / "cache"):
        pass


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
def test_what_only_the_user_can_do_is_said(seen: Situation, words: list[str]) -> None:
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


# --- images


def test_needs_work() -> None:
    assert images.needs_work(None, "k")
    assert images.needs_work({images.LABEL: "old"}, "k")
    assert not images.needs_work({images.LABEL: "k"}, "k")
    assert not images.needs_work({}, "k"), "an official image is left alone"


class Registry(Engine):
    """An engine whose pulls end as told."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__()
        self.error = error
        self.asked: list[str] = []

    def pull(self, reference: str, first_word: float, next_word: float) -> None:
        assert first_word <= 30
        assert next_word <= 300
        self.asked.append(reference)
        if self.error:
            raise self.error


RECIPES = [images.Recipe("a:1", "k"), images.Recipe("b:1", "k"), images.Recipe("c:1", "k")]


@pytest.mark.parametrize("error", [ApiError(500, "dial tcp: lookup x: no such host"), TimeoutError(), None])
def test_registry_is_asked_once_if_it_does_not_answer(error: Exception | None) -> None:
    registry = Registry(error)
    left = images.pull_all(registry, RECIPES)
    assert (left, len(registry.asked)) == ((RECIPES, 1) if error else ([], 3))


def test_a_registry_that_says_no_is_not_papered_over() -> None:
    registry = Registry(ApiError(500, "toomanyrequests: You have reached your pull rate limit"))
    with pytest.raises(progress.Failure, match="refused a:1"):
        images.pull_all(registry, RECIPES)


def test_stand_ins_are_not_begun_where_they_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "is_root", lambda: False)
    with pytest.raises(progress.Failure, match="need root on Debian"):
        images.build_stand_ins(Registry(None), tmp_path, RECIPES, RECIPES, [])


def test_keys_of_stand_ins_follow_the_base(tmp_path: Path) -> None:
    mirrors = rootfs.Mirrors(None, None)
    certificate = tmp_path / "own.crt"
    certificate.write_text("x")
    plain = images.make_recipes([], mirrors)
    assert plain == images.make_recipes([], mirrors)
    assert [recipe.image for recipe in plain] == [images.BASE, *images.FOLDERS]
    changed = images.make_recipes([certificate], mirrors)
    assert all(one.key != other.key for one, other in zip(plain, changed, strict=True))


def test_build_context_is_the_same_whatever_the_umask(tmp_path: Path) -> None:
    for name, mode in [("a", 0o755), ("b", 0o700)]:
        folder_with(tmp_path / name, script="#!/bin/sh")
        (tmp_path / name / "script").chmod(mode)
    packed = images.pack(tmp_path / "a")
    assert packed == images.pack(tmp_path / "b")
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        assert archive.getmember("script").mode == 0o755


def test_entrypoint_is_executable() -> None:
    entrypoint = images.FOLDERS["postgres:17-trixie"] / "docker-entrypoint.sh"
    assert entrypoint.stat().st_mode & stat.S_IXUSR


# --- Debian


@pytest.mark.parametrize(
    ("text", "supported"),
    [
        ('ID=debian\nVERSION_ID="12"\n', True),
        ('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nID=debian\n', True),
        ('ID=debian\nVERSION_ID="11"\n', False),
        ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="12"\n', False),
        ("ID='debian\n", False),
    ],
)
def test_supported_debian(tmp_path: Path, text: str, supported: bool) -> None:
    (tmp_path / "os-release").write_text(text)
    assert debian.is_supported_debian(tmp_path / "os-release") is supported
    assert not debian.is_supported_debian(tmp_path / "none")


def test_mirrors_come_from_both_formats(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://no/debian x main\ndeb [signed-by=/k] http://one/debian x main\n"
    )
    (tmp_path / "sources.list.d" / "a.sources").write_text("Types: deb\nURIs: http://u:p@two/debian-security\n")
    (tmp_path / "sources.list.d" / "b.sources").write_text("URIs: http://three/debian-security/\nSuites: x\n")
    (tmp_path / "sources.list.d" / "c.list.save").write_text("deb http://old/debian x main\n")
    sources = debian.apt_sources(tmp_path)
    assert sources == ["http://one/debian", "http://u:p@two/debian-security", "http://three/debian-security"]
    assert rootfs.Mirrors.of(sources) == rootfs.Mirrors("http://one/debian", "http://three/debian-security")
    assert rootfs.Mirrors.of([]) == rootfs.Mirrors(None, None)


def test_packages_are_named_where_they_cannot_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "is_supported_debian", lambda: True)
    monkeypatch.setattr(debian, "is_root", lambda: False)
    with pytest.raises(progress.Failure, match="only root") as caught:
        debian.install(["python3-venv"], "Python's venv module")
    assert "sudo apt-get install --no-install-recommends python3-venv" in str(caught.value)


# --- Pulumi and Go


def program(place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)
    return place


def test_pulumi_of_the_users_counts_and_ours_does_not(tmp_path: Path) -> None:
    checkout, cache, theirs = tmp_path / "checkout" / "bin", tmp_path / "cache", tmp_path / "usr" / "bin"
    program(checkout / "pulumi")
    program(cache / "bin" / "pulumi")
    theirs.mkdir(parents=True)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "pulumi").symlink_to(checkout / "pulumi")
    path = os.pathsep.join(["", str(checkout), str(cache / "bin"), str(tmp_path / "links"), str(theirs)])
    assert pulumi.users_own_pulumi(path, (checkout, cache)) is None
    program(theirs / "pulumi")
    assert pulumi.users_own_pulumi(path, (checkout, cache)) == theirs / "pulumi"


def test_plugins_match_the_python_sdks() -> None:
    pinned = (CHECKOUT / "requirements.in").read_text()
    for name, version in pulumi.PLUGINS.items():
        assert f"pulumi-{name}=={version}" in pinned


def test_versions_are_read_from_go_mod() -> None:
    module = pulumi.GO / "pulumi" / "go.mod"
    assert pulumi.module_version(module, pulumi.SDK).startswith("v3.")
    assert pulumi.module_version(pulumi.GO / "language-python" / "go.mod", pulumi.SDK) == "v3.79.0"
    assert golang.needed_version(module) >= (1, 25)


@pytest.mark.parametrize(
    ("text", "version"),
    [("go1.26.8 linux/amd64", (1, 26, 8)), ("1.25.11", (1, 25, 11)), ("go1.27rc1", (1, 27)), ("devel", ())],
)
def test_go_versions(text: str, version: tuple[int, ...]) -> None:
    assert golang.parse_version(text) == version


def test_go_that_is_too_old_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = program(tmp_path / "old" / "go")
    old.write_text("#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
    ours = program(tmp_path / "cache" / "go" / f"sdk-{key_of([golang.REQUIREMENT])}" / "bin" / "go")
    monkeypatch.setattr("shutil.which", lambda *_, **__: str(old))
    assert golang.find_go((1, 25), tmp_path / "cache") == ours
    assert golang.find_go((1, 19), tmp_path / "cache") == old


def test_users_go_settings_do_not_change_the_build(tmp_path: Path) -> None:
    theirs = {"GOFLAGS": "-mod=vendor", "GOOS": "plan9", "GOARCH": "arm", "GOPROXY": "https://mirror", "PATH": "/bin"}
    environment = pulumi.build_environment(tmp_path, theirs)
    assert environment["GOPROXY"] == "https://mirror"
    assert "vendor" not in environment["GOFLAGS"]
    assert not {"GOOS", "GOARCH"} & environment.keys()


def test_full_disk_is_said_before_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi, "NEEDED_BYTES", 10**18)
    with pytest.raises(progress.Failure, match="are free"):
        pulumi.check_space(tmp_path)


# --- progress, processes, lanes


def test_failure_says_what_was_tried_what_the_tool_said_and_what_to_do() -> None:
    text = str(progress.Failure("building x", "do y", "\n".join(f"line {number}" for number in range(30))))
    assert "building x" in text
    assert "| line 29" in text
    assert "line 3\n" not in text
    assert text.endswith("to mend it: do y")


def test_long_step_shows_that_it_lives(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SIGN_OF_LIFE_SECONDS", 0.02)
    with progress.step("doing it", lambda: "3 of 7"):
        time.sleep(0.1)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "toolchain: doing it …"
    assert "0 s so far, 3 of 7" in said[1]
    assert said[-1] == "toolchain: doing it … 0 s"


def test_command_that_fails_brings_its_last_words() -> None:
    with pytest.raises(progress.Failure, match=r"trying \(exit code 3\)") as caught:
        processes.run(["sh", "-c", "echo out; echo err >&2; exit 3"], "trying", "mend")
    assert caught.value.output == "out\nerr\n"
    with pytest.raises(progress.Failure, match="trying"):
        processes.run(["/no/such/program"], "trying", "mend", finish=True)


def test_children_of_children_end_with_a_stop(tmp_path: Path) -> None:
    code = f"""
import threading
from toolchain import processes
child = f"sleep 60 & echo $! > {tmp_path}/pid; wait"
def go():
    try:
        processes.run(["sh", "-c", child], "x", "y")
    except processes.Stopped:
        print("stopped")
lane = threading.Thread(target=go)
lane.start()
from pathlib import Path
while not (Path({str(tmp_path)!r}) / "pid").exists() or not (Path({str(tmp_path)!r}) / "pid").read_text():
    pass
processes.stop_all()
lane.join()
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, timeout=20)
    assert ended.stdout == "stopped\n", ended.stderr
    grandchild = Path("/proc") / (tmp_path / "pid").read_text().strip() / "stat"
    assert not grandchild.exists() or grandchild.read_text().rpartition(")")[2].split()[0] == "Z"


def test_lanes_run_side_by_side_and_an_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    meet = threading.Barrier(2)
    in_lanes([lambda: meet.wait(5), lambda: meet.wait(5)])
    monkeypatch.setattr("toolchain.__main__.stop_all", lambda: None)

    def fail() -> None:
        raise progress.Failure("this", "that")

    with pytest.raises(progress.Failure, match="this"):
        in_lanes([fail, lambda: time.sleep(0.05)])
