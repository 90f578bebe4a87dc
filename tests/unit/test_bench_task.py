"""How the benchmark measures: alternation, warm-up, time limit, and checks of the answers."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from bench.connection import Connection, OverLimitError, WrongAnswerError
from bench.processor import Processor, counter_of
from bench.read_tasks import ReadTask, run_ids
from bench.results import Results
from bench.systems import System
from bench.task import Task, measure_in_rounds


@dataclass
class FakeSystem:
    name: str
    restarts: int = 0
    partial: bool = False

    def wait(self) -> None:
        """It is ready at once."""

    def restart(self) -> None:
        self.restarts += 1


@dataclass
class FakeTask(Task):
    name: str = "task"
    group: str = "reading"
    unit: str = "s"
    limit: float = 20.0
    fails: dict[str, Exception] = field(default_factory=dict)
    breaks: int = 0
    order: list[str] = field(default_factory=list)

    def measure(self, system: System) -> list[float]:
        self.order.append(system.name)
        if len(self.order) <= self.breaks:
            raise OSError("closed")
        if system.name in self.fails:
            raise self.fails[system.name]
        return [float(len(self.order))]


def run(task: FakeTask, rounds: int, names: str = "abc", **more: Any) -> tuple[Results, list[FakeSystem]]:
    results, systems = Results(), [FakeSystem(name) for name in names]
    measure_in_rounds([task], cast("list[System]", systems), rounds, 10, results, **more)
    return results, systems


def test_systems_alternate_and_their_order_rotates_in_each_round() -> None:
    task = FakeTask()
    run(task, rounds=3)
    assert "".join(task.order) == "abc" + "bca" + "cab" + "abc"


def test_the_warm_up_round_does_not_count() -> None:
    task = FakeTask()
    results, _ = run(task, rounds=2)
    result = results.get("task", "a", 10)
    assert result
    assert result.values == [6.0, 8.0], "1.0 was the warm-up"


def test_a_task_may_have_its_own_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    warmed: list[str] = []
    monkeypatch.setattr(FakeTask, "warm_up", lambda _, system: warmed.append(system.name))
    task = FakeTask()
    run(task, rounds=1)
    assert ("".join(warmed), "".join(task.order)) == ("abc", "bca")


def test_the_warm_up_can_be_skipped() -> None:
    task = FakeTask()
    run(task, rounds=1, warm_up=False)
    assert len(task.order) == 3


def test_a_task_over_the_limit_is_not_repeated_and_its_system_is_restarted() -> None:
    task = FakeTask(fails={"b": OverLimitError("search")})
    results, systems = run(task, rounds=3)
    assert task.order.count("b") == 1
    assert [system.restarts for system in systems] == [0, 1, 0], "the abandoned query would slow down the others"
    over, other = results.get("task", "b", 10), results.get("task", "a", 10)
    assert over
    assert over.over == 20.0
    assert other
    assert len(other.values) == 3


def test_the_error_of_a_wrong_answer_is_recorded() -> None:
    results, _ = run(FakeTask(fails={"a": WrongAnswerError("99 rows instead of 100")}), rounds=3)
    result = results.get("task", "a", 10)
    assert result
    assert result.failed == "WrongAnswerError: 99 rows instead of 100"
    assert result.median is None


@pytest.mark.parametrize("error", [WrongAnswerError("POST /v1/traces: 404"), BrokenPipeError("an upload")])
def test_what_a_server_with_a_part_of_the_api_cannot_do_is_no_failure(error: Exception) -> None:
    results, task = Results(), FakeTask(fails={"a": error})
    system = FakeSystem("a", partial=True)
    measure_in_rounds([task], cast("list[System]", [system]), 3, 10, results)
    result = results.get("task", "a", 10)
    assert result
    assert (result.failed, result.cannot) == (None, str(error))
    assert len(task.order) <= 2, "it is not asked again in the next round"


def test_the_processor_time_of_each_round_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeTask, "processor", lambda _: Processor(0.003, 0.001))
    results, _ = run(FakeTask(), rounds=2, names="a")
    result = results.get("task", "a", 10)
    assert result
    assert (result.server, result.postgres) == ([0.003, 0.003], [0.001, 0.001])


def test_a_broken_connection_is_retried_once() -> None:
    task = FakeTask(breaks=1)
    results, _ = run(task, rounds=1, names="a")
    once = results.get("task", "a", 10)
    assert once
    assert (once.failed, len(once.values)) == (None, 1)
    results, _ = run(FakeTask(breaks=2), rounds=1, names="a")
    twice = results.get("task", "a", 10)
    assert twice
    assert twice.failed == "OSError: closed"


class Answers(BaseHTTPRequestHandler):
    """Answers according to the path: with status 500, or after a second."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        word = self.path.partition("?")[0].rpartition("/")[2]
        if word == "slow":
            time.sleep(1)
        body = json.dumps({"path": self.path, "authorization": self.headers.get("Authorization")}).encode()
        self.send_response(500 if word == "broken" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keeps the output of the tests clean."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_connection_is_reused_and_sends_the_login(url: str) -> None:
    with Connection(url, 10, ("admin", "secret")) as connection:
        answers = [connection.get_json("/list", ids=["a", "b"]) for _ in range(2)]
    assert answers[0] == {"path": "/list?ids=a&ids=b", "authorization": "Basic YWRtaW46c2VjcmV0"}


def test_a_slow_answer_raises_after_the_limit(url: str) -> None:
    with Connection(url, 0.2) as connection, pytest.raises(OverLimitError):
        connection.get("/slow")


def test_all_requests_share_one_deadline(url: str) -> None:
    with Connection(url, 10) as connection:
        connection.set_deadline(0)
        with pytest.raises(OverLimitError):
            connection.get("/quick")
        connection.set_deadline(10)
        connection.get("/quick")


def test_any_status_but_200_is_a_wrong_answer(url: str) -> None:
    with Connection(url, 10) as connection, pytest.raises(WrongAnswerError, match="GET /broken: 500"):
        connection.get("/broken")


def test_unmeasured_work_is_retried_after_a_broken_connection(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, system = read_task(url)
    monkeypatch.setattr(System, "wait", lambda _: None)
    breaks = iter([OSError("closed"), OSError("closed"), None, OSError("closed"), OSError("closed"), OSError("closed")])

    def work(connection: Connection) -> bytes:
        if error := next(breaks):
            raise error
        return connection.get("/quick")

    assert b"/quick" in system.retry(work)
    with pytest.raises(OSError, match="closed"):
        system.retry(work)


def read_task(url: str, *answers: list[str], expected: int = 2) -> tuple[ReadTask, System]:
    seen = iter(answers)
    made = ReadTask(
        "task", lambda connection: [connection.get("/quick")], lambda _: next(seen), expected, samples=3, limit=10
    )
    return made, System(name="a", url=url, server=cast("Any", None))


def test_a_fast_task_is_read_several_times_in_a_round(url: str) -> None:
    task, system = read_task(url, ["x", "y"])
    assert len(task.measure(system)) == 3


def test_the_processor_time_of_a_task_is_that_of_one_reading(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def three_tenths(_: System) -> Iterator[Processor]:
        yield Processor(0.3, 0.03)

    monkeypatch.setattr("bench.read_tasks.processor_time", three_tenths)
    task, system = read_task(url, ["x", "y"])
    task.measure(system)
    taken = task.processor()
    assert taken
    assert (round(taken.server, 6), round(taken.postgres, 6)) == (0.1, 0.01)


@pytest.mark.parametrize(
    ("groups", "file", "text"),
    [
        ("5:cpu,cpuacct:/docker/abc\n0::/elsewhere", "cpuacct/docker/abc/cpuacct.usage", "1500000000\n"),
        ("0::/system.slice/abc.scope", "system.slice/abc.scope/cpu.stat", "usage_usec 1500000\nuser_usec 9\n"),
    ],
)
def test_the_kernel_s_counter_is_read_in_both_versions(groups: str, file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text)
    assert counter_of(groups, tmp_path).seconds() == 1.5


def test_an_engine_elsewhere_gives_no_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeTask, "processor", lambda _: Processor(math.nan, 0.001))
    results, _ = run(FakeTask(), rounds=1, names="a")
    result = results.get("task", "a", 10)
    assert result
    assert (result.server, result.postgres) == ([], [])


def test_the_warm_up_repeats_a_task_for_its_settling_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task, system = read_task(url, *[["x", "y"]] * 3)
    task.settling = 2.0
    # The clock is read at the begin, and before each repetition.
    times = iter([0.0, 1.0, 1.9, 2.0])
    monkeypatch.setattr(ReadTask, "measure", lambda _, __: [0.0])
    monkeypatch.setattr("bench.read_tasks.time.monotonic", lambda: next(times))
    task.warm_up(system)
    assert not list(times)


def test_too_few_rows_are_a_wrong_answer(url: str) -> None:
    task, system = read_task(url, ["x"])
    with pytest.raises(WrongAnswerError, match="1 rows instead of 2"):
        task.measure(system)


def test_systems_must_return_the_same_rows(url: str) -> None:
    task, system = read_task(url, ["x", "y"], ["y", "x"])
    task.measure(system)
    with pytest.raises(WrongAnswerError, match="from y instead of x"):
        task.measure(system)


def test_a_run_without_its_details_is_a_wrong_answer() -> None:
    data: dict[str, list[Any]] = {"metrics": [{}] * 20, "params": [{}] * 10, "tags": [{}] * 8}
    run = {"info": {"run_id": "x"}, "data": data}
    with pytest.raises(WrongAnswerError, match="'tags': 8"):
        run_ids([json.dumps({"runs": [run]}).encode()])
    data["tags"] = [{}] * 9
    assert run_ids([json.dumps({"runs": [run]}).encode()]) == ["x"]
