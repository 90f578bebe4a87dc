"""The benchmark's method: turns, the warm-up, the limit, and answers that are looked at."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest

from bench.measure import Task, interleave
from bench.results import Results
from bench.sides import Side
from bench.wire import OverLimitError, Wire, WrongAnswerError
from bench.work import Cell, run_ids


@dataclass
class FakeSide:
    name: str
    recovered: int = 0

    def wait(self) -> None:
        """Up already."""

    def recover(self) -> None:
        self.recovered += 1


@dataclass
class FakeTask(Task):
    name: str = "task"
    group: str = "reading"
    unit: str = "s"
    limit: float = 20.0
    fails: dict[str, Exception] = field(default_factory=dict)
    breaks: int = 0
    order: list[str] = field(default_factory=list)

    def measure(self, side: Side) -> list[float]:
        self.order.append(side.name)
        if len(self.order) <= self.breaks:
            raise OSError("closed")
        if side.name in self.fails:
            raise self.fails[side.name]
        return [float(len(self.order))]


def run(task: FakeTask, rounds: int, names: str = "abc", **more: Any) -> tuple[Results, list[FakeSide]]:
    results, sides = Results(), [FakeSide(name) for name in names]
    interleave([task], cast("list[Side]", sides), rounds, 10, results, **more)
    return results, sides


def test_sides_take_turns_and_the_order_turns_from_round_to_round() -> None:
    task = FakeTask()
    run(task, rounds=3)
    assert "".join(task.order) == "abc" + "bca" + "cab" + "abc"


def test_the_first_round_is_not_counted() -> None:
    task = FakeTask()
    results, _ = run(task, rounds=2)
    result = results.get("task", "a", 10)
    assert result
    assert result.values == [6.0, 8.0], "1.0 was the warm-up"


def test_the_first_round_may_be_another(monkeypatch: pytest.MonkeyPatch) -> None:
    warmed: list[str] = []
    monkeypatch.setattr(FakeTask, "warm_up", lambda _, side: warmed.append(side.name))
    task = FakeTask()
    run(task, rounds=1)
    assert ("".join(warmed), "".join(task.order)) == ("abc", "bca")


def test_what_is_slow_at_first_anyway_needs_no_warm_up() -> None:
    task = FakeTask()
    run(task, rounds=1, warm_up=False)
    assert len(task.order) == 3


def test_what_was_over_the_limit_is_not_tried_again_and_its_side_is_made_idle() -> None:
    task = FakeTask(fails={"b": OverLimitError("search")})
    results, sides = run(task, rounds=3)
    assert task.order.count("b") == 1
    assert [side.recovered for side in sides] == [0, 1, 0], "the query goes on, and would slow down the others"
    over, other = results.get("task", "b", 10), results.get("task", "a", 10)
    assert over
    assert over.over == 20.0
    assert other
    assert len(other.values) == 3


def test_a_wrong_answer_is_kept_in_words() -> None:
    results, _ = run(FakeTask(fails={"a": WrongAnswerError("99 rows instead of 100")}), rounds=3)
    result = results.get("task", "a", 10)
    assert result
    assert result.failed == "WrongAnswerError: 99 rows instead of 100"
    assert result.median is None


def test_a_connection_that_breaks_once_is_no_failure_and_twice_is_one() -> None:
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
    """Answers what the path says: a status, or after so many seconds."""

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
        """Nothing: the tests print nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_wire_keeps_its_connection_and_says_who_asks(url: str) -> None:
    with Wire(url, 10, ("admin", "secret")) as wire:
        answers = [wire.read("/list", ids=["a", "b"]) for _ in range(2)]
    assert answers[0] == {"path": "/list?ids=a&ids=b", "authorization": "Basic YWRtaW46c2VjcmV0"}


def test_an_answer_that_takes_too_long_is_not_waited_for(url: str) -> None:
    with Wire(url, 0.2) as wire, pytest.raises(OverLimitError):
        wire.get("/slow")


def test_the_deadline_is_that_of_all_requests_together(url: str) -> None:
    with Wire(url, 10) as wire:
        wire.allow(0)
        with pytest.raises(OverLimitError):
            wire.get("/quick")
        wire.allow(10)
        wire.get("/quick")


def test_any_status_but_200_is_a_wrong_answer(url: str) -> None:
    with Wire(url, 10) as wire, pytest.raises(WrongAnswerError, match="GET /broken: 500"):
        wire.get("/broken")


def test_what_is_not_measured_survives_a_broken_connection(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, side = cell(url)
    monkeypatch.setattr(Side, "wait", lambda _: None)
    breaks = iter([OSError("closed"), OSError("closed"), None, OSError("closed"), OSError("closed"), OSError("closed")])

    def work(wire: Wire) -> bytes:
        if error := next(breaks):
            raise error
        return wire.get("/quick")

    assert b"/quick" in side.patiently(work)
    with pytest.raises(OSError, match="closed"):
        side.patiently(work)


def cell(url: str, *answers: list[str], expected: int = 2) -> tuple[Cell, Side]:
    seen = iter(answers)
    made = Cell("cell", lambda wire: [wire.get("/quick")], lambda _: next(seen), expected, samples=3, limit=10)
    return made, Side(name="a", url=url, server=cast("Any", None))


def test_a_quick_cell_is_read_several_times_in_a_round(url: str) -> None:
    task, side = cell(url, ["x", "y"])
    assert len(task.measure(side)) == 3


def test_a_cell_is_asked_for_until_its_settling_time_is_over(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task, side = cell(url, *[["x", "y"]] * 3)
    task.settling = 2.0
    # Asked when it begins, and before each time that it goes on.
    times = iter([0.0, 1.0, 1.9, 2.0])
    monkeypatch.setattr(Cell, "measure", lambda _, __: [0.0])
    monkeypatch.setattr("bench.work.time.monotonic", lambda: next(times))
    task.warm_up(side)
    assert not list(times)


def test_fewer_rows_than_the_data_holds_are_a_wrong_answer(url: str) -> None:
    task, side = cell(url, ["x"])
    with pytest.raises(WrongAnswerError, match="1 rows instead of 2"):
        task.measure(side)


def test_sides_that_answer_with_other_rows_do_not_agree(url: str) -> None:
    task, side = cell(url, ["x", "y"], ["y", "x"])
    task.measure(side)
    with pytest.raises(WrongAnswerError, match="from y instead of x"):
        task.measure(side)


def test_a_run_that_comes_without_its_details_is_no_answer() -> None:
    data: dict[str, list[Any]] = {"metrics": [{}] * 20, "params": [{}] * 10, "tags": [{}] * 8}
    run = {"info": {"run_id": "x"}, "data": data}
    with pytest.raises(WrongAnswerError, match="'tags': 8"):
        run_ids([json.dumps({"runs": [run]}).encode()])
    data["tags"] = [{}] * 9
    assert run_ids([json.dumps({"runs": [run]}).encode()]) == ["x"]
