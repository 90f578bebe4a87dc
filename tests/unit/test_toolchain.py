"""toolchain/: base images, Debian, Pulumi and Go, progress and parallel jobs, without an engine, a network or Go."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pytest

from toolchain import browser, debian, golang, images, processes, progress, pulumi, rootfs
from toolchain.__main__ import run_in_parallel
from toolchain.cache import key_of
from toolchain.engine_api import ApiError, Engine

CHECKOUT = Path(__file__).parents[2]

# --- images


def test_a_missing_image_and_an_old_stand_in_are_rebuilt() -> None:
    assert images.needs_work(None, "k")
    assert images.needs_work({images.LABEL: "old"}, "k")
    assert not images.needs_work({images.LABEL: "k"}, "k")
    assert not images.needs_work({}, "k"), "an official image is left exclusive_lock"


class Registry(Engine):
    """An engine whose pulls end as told."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__()
        self.error = error
        self.asked: list[str] = []

    def pull(self, reference: str, first_timeout: float, timeout: float) -> None:
        assert first_timeout <= 30
        assert timeout <= 300
        self.asked.append(reference)
        if self.error:
            raise self.error


RECIPES = [images.Recipe("a:1", "k"), images.Recipe("b:1", "k"), images.Recipe("c:1", "k")]


@pytest.mark.parametrize("error", [ApiError(500, "dial tcp: lookup x: no such host"), TimeoutError(), None])
def test_a_registry_that_does_not_answer_is_tried_once(error: Exception | None) -> None:
    registry = Registry(error)
    left = images.pull_all(registry, RECIPES)
    assert (left, len(registry.asked)) == ((RECIPES, 1) if error else ([], 3))


def test_a_refusal_of_the_registry_is_an_error() -> None:
    registry = Registry(ApiError(500, "toomanyrequests: You have reached your pull rate limit"))
    with pytest.raises(progress.Failure, match="refused a:1"):
        images.pull_all(registry, RECIPES)


def test_stand_ins_need_root_on_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_build_context_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    for name, mode in [("a", 0o755), ("b", 0o700)]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "script").write_text("#!/bin/sh")
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


def test_an_error_names_the_packages_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "is_supported_debian", lambda: True)
    monkeypatch.setattr(debian, "is_root", lambda: False)
    with pytest.raises(progress.Failure, match="only root") as caught:
        debian.install(["python3-venv"], "Python's venv module")
    assert "sudo apt-get install --no-install-recommends python3-venv" in str(caught.value)


# --- the browser


def test_chromium_is_installed_only_if_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[Sequence[str]] = []
    monkeypatch.setattr(debian, "install", lambda packages, _: installed.append(packages))
    monkeypatch.setattr("shutil.which", {"chromium": "/usr/bin/chromium"}.get)
    browser.ensure_browser()
    assert installed == []
    monkeypatch.setattr("shutil.which", dict[str, str]().get)
    browser.ensure_browser()
    assert [packages[0] for packages in installed] == ["chromium"]


def test_the_stack_needs_no_browser() -> None:
    recipes = (CHECKOUT / "Makefile").read_text()
    needing = re.findall(r"^([a-z]+):(?=.*\bbrowser\b)", recipes, re.MULTILINE)
    assert needing == ["test", "integration", "pictures"]


# --- Pulumi and Go


def program(place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)
    return place


def test_only_a_pulumi_of_the_users_own_counts(tmp_path: Path) -> None:
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


def test_an_old_go_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = program(tmp_path / "old" / "go")
    old.write_text("#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
    ours = program(tmp_path / "cache" / "go" / f"sdk-{key_of([golang.REQUIREMENT])}" / "bin" / "go")
    monkeypatch.setattr("shutil.which", lambda *_, **__: str(old))
    assert golang.find_go((1, 25), tmp_path / "cache") == ours
    assert golang.find_go((1, 19), tmp_path / "cache") == old


def test_the_users_go_settings_do_not_change_the_build(tmp_path: Path) -> None:
    theirs = {"GOFLAGS": "-mod=vendor", "GOOS": "plan9", "GOARCH": "arm", "GOPROXY": "https://mirror", "PATH": "/bin"}
    environment = pulumi.build_environment(tmp_path, theirs)
    assert environment["GOPROXY"] == "https://mirror"
    assert "vendor" not in environment["GOFLAGS"]
    assert not {"GOOS", "GOARCH"} & environment.keys()


def test_a_full_disk_is_reported_before_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi, "NEEDED_BYTES", 10**18)
    with pytest.raises(progress.Failure, match="are free"):
        pulumi.check_space(tmp_path)


# --- progress, processes, lanes


def test_a_failure_has_the_step_the_output_and_the_remedy() -> None:
    text = str(
        progress.Failure("tool-failed", "building x", "do y", "\n".join(f"line {number}" for number in range(30)))
    )
    assert "building x" in text
    assert "| line 29" in text
    assert "line 3\n" not in text
    assert text.endswith("to mend it: do y")


def test_a_long_step_prints_progress(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PROGRESS_SECONDS", 0.02)
    with progress.step("doing it", lambda: "3 of 7"):
        time.sleep(0.1)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "toolchain: doing it …"
    assert "0 s so far, 3 of 7" in said[1]
    assert said[-1] == "toolchain: doing it … 0 s"


def test_a_failed_command_shows_its_last_lines() -> None:
    with pytest.raises(progress.Failure, match=r"trying \(exit code 3\)") as caught:
        processes.run(["sh", "-c", "echo out; echo err >&2; exit 3"], "trying", "mend")
    assert caught.value.output == "out\nerr\n"
    with pytest.raises(progress.Failure, match="trying"):
        processes.run(["/no/such/program"], "trying", "mend", finish=True)


def test_a_stop_ends_grandchildren_too(tmp_path: Path) -> None:
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


def test_jobs_run_in_parallel_and_an_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    meet = threading.Barrier(2)
    run_in_parallel([lambda: meet.wait(5), lambda: meet.wait(5)])
    monkeypatch.setattr("toolchain.__main__.stop_all", lambda: None)

    def fail() -> None:
        raise progress.Failure("tool-failed", "this", "that")

    with pytest.raises(progress.Failure, match="this"):
        run_in_parallel([fail, lambda: time.sleep(0.05)])
