"""The read tasks: requests to each system over one connection, and the rows that the answers must have."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.connection import AJAX, API, TRACES, Connection, WrongAnswerError
from bench.processor import Processor, processor_time
from bench.run_data import METRICS, PARAMS, TAGS
from bench.searches import PAGE, SEARCHES, Search
from bench.stores import Stores
from bench.systems import System
from bench.task import Task
from bench.trace_data import MODELS

COMPARED = 50
"""Runs on the compare page."""
SAMPLED = 320
"""Points of a curve that the chart page requests."""
QUICK = 0.5
"""Seconds. A task that takes longer is read only once in a round."""
READING = "reading"

Fetch = Callable[[Connection], list[bytes]]
Ids = Callable[[list[bytes]], list[str]]


@dataclass
class ReadTask(Task):
    """One read task."""

    name: str
    fetch: Fetch
    """The requests; nothing else is timed."""
    ids: Ids
    """Returns the ids in the answers, in order. All systems must agree on them."""
    expected: int
    samples: int
    limit: float
    settling: float = 0.0
    """Seconds for which the warm-up repeats the task, because each worker of a server is slow the first time."""

    group: str = READING
    unit: str = "s"
    agreed: list[str] | None = field(default=None)
    _processor: Processor | None = None

    def measure(self, system: System) -> list[float]:
        readings: list[float] = []
        with system.connect(self.limit) as connection:
            # Not timed: opening the connection, and the database session that the worker may have to open.
            connection.get(f"{API}/experiments/get", experiment_id=0)
            with processor_time(system) as taken:
                while len(readings) < self.samples and not (readings and readings[0] > QUICK):
                    connection.set_deadline(self.limit)
                    began = time.monotonic()
                    answers = self.fetch(connection)
                    readings.append(time.monotonic() - began)
            self._check(self.ids(answers))
        self._processor = taken.each(len(readings))
        return readings

    def warm_up(self, system: System) -> None:
        end = time.monotonic() + self.settling
        self.measure(system)
        # Each time over a new connection, so that every worker of the server gets some.
        while time.monotonic() < end:
            self.measure(system)

    def rows(self) -> int:
        return self.expected

    def processor(self) -> Processor | None:
        return self._processor

    def _check(self, seen: list[str]) -> None:
        if len(seen) != self.expected:
            raise WrongAnswerError(f"{len(seen)} rows instead of {self.expected}")
        if self.agreed is None:
            self.agreed = seen
        if seen != self.agreed:
            raise WrongAnswerError(f"other rows than on another system, from {seen[0]} instead of {self.agreed[0]}")


def searching(search: Search, experiment: str) -> Fetch:
    """A function that requests the first page of a search."""
    body = {
        "experiment_ids": [experiment],
        "filter": search.filter,
        "order_by": list(search.order_by),
        "max_results": PAGE,
        "run_view_type": "ACTIVE_ONLY",
    }
    return lambda connection: [connection.post(f"{API}/runs/search", body)]


def run_ids(answers: list[bytes]) -> list[str]:
    """The run ids in a search's answer. Raises WrongAnswerError if a run lacks metrics, parameters or tags."""
    runs = json.loads(answers[0]).get("runs", [])
    for run in runs:
        held = {key: len(run["data"].get(key, [])) for key in ("metrics", "params", "tags")}
        if held != {"metrics": METRICS, "params": PARAMS, "tags": TAGS + 4}:
            raise WrongAnswerError(f"run {run['info']['run_id']} came with {held}")
    return [str(run["info"]["run_id"]) for run in runs]


def read_tasks(stores: Stores, system: System, samples: int, limit: float) -> list[ReadTask]:
    """All read tasks at the stores' present size. Gets the ids that some of them need from `system`."""
    where = stores.experiments

    def task(name: str, fetch: Fetch, ids: Ids, rows: int) -> ReadTask:
        return ReadTask(name, fetch, ids, rows, samples, limit)

    searches = [
        task(search.name, searching(search, where.runs), run_ids, stores.tally.rows(search.name)) for search in SEARCHES
    ]
    newest = run_ids(system.retry(searching(SEARCHES[0], where.runs)))
    histories = []
    for steps, run_id in stores.history_runs.items():
        # How many points there are in a sample is MLflow's own choice. The systems must agree on them.
        sample = _history_ids(system.retry(_sample([run_id], "loss")))
        histories += [
            task(whole_history(steps), _history(run_id), _history_ids, steps),
            task(sampled_history(steps), _sample([run_id], "loss"), _history_ids, len(sample)),
        ]
    return [
        *searches,
        task("run page", _run_page(newest[0]), _run_page_ids, 1),
        *histories,
        task("compare 50 runs", _compare(newest[:COMPARED]), _compare_ids, COMPARED * 2),
        *_trace_tasks(stores, samples, limit),
        task("model registry, 100 newest", _models(""), _model_ids, min(PAGE, MODELS)),
        task("model registry, by name", _models(" AND name ILIKE '%model-02%'"), _model_ids, min(PAGE, MODELS // 10)),
    ]


def whole_history(steps: int) -> str:
    return f"metric history, {steps:,} steps"


def sampled_history(steps: int) -> str:
    return f"metric chart, {steps:,} steps sampled"


def _run_page(run_id: str) -> Fetch:
    return lambda connection: [
        connection.get(f"{API}/runs/get", run_id=run_id),
        connection.get(f"{API}/artifacts/list", run_id=run_id),
    ]


def _run_page_ids(answers: list[bytes]) -> list[str]:
    run, artifacts = map(json.loads, answers)
    if artifacts.get("files"):
        raise WrongAnswerError("a run without artifacts came with artifacts")
    return run_ids([json.dumps({"runs": [run["run"]]}).encode()])


def _history(run_id: str) -> Fetch:
    def fetch(connection: Connection) -> list[bytes]:
        query = {"run_id": run_id, "metric_key": "loss", "max_results": "25000"}
        pages = [connection.get(f"{API}/metrics/get-history", **query)]
        while token := json.loads(pages[-1]).get("next_page_token"):
            pages.append(connection.get(f"{API}/metrics/get-history", **query, page_token=token))
        return pages

    return fetch


def _history_ids(answers: list[bytes]) -> list[str]:
    return [str(metric["step"]) for page in answers for metric in json.loads(page).get("metrics", [])]


def _sample(run_ids: list[str], key: str) -> Fetch:
    """The request of the chart page: one metric of some runs, with at most `SAMPLED` points of each."""
    path = f"{AJAX}/metrics/get-history-bulk-interval"
    return lambda connection: [connection.get(path, run_ids=run_ids, metric_key=key, max_results=SAMPLED)]


def _compare(ids: list[str]) -> Fetch:
    """The requests of the compare page: each run, and one metric of all runs for the chart."""
    chart = _sample(ids, "m0")
    return lambda connection: [
        *(connection.get(f"{API}/runs/get", run_id=run_id) for run_id in ids),
        *chart(connection),
    ]


def _compare_ids(answers: list[bytes]) -> list[str]:
    *runs, chart = map(json.loads, answers)
    metrics = sorted(metric["run_id"] for metric in chart["metrics"])
    return [*(str(run["run"]["info"]["run_id"]) for run in runs), *map(str, metrics)]


def _trace_tasks(stores: Stores, samples: int, limit: float) -> list[ReadTask]:
    traces = stores.traces
    newest = max(traces, key=lambda trace: trace.start)
    by_tag = sum(trace.team == "team-7" for trace in traces)
    by_kind = sum(trace.status == "ERROR" and trace.kind == "k3" for trace in traces)
    # Ordered from the newest on, as on MLflow's page.
    searches = {
        "newest 100 traces": ("", len(traces)),
        "traces by tag": ("tags.team = 'team-7'", by_tag),
        "traces by status, metadata": ("status = 'ERROR' and metadata.kind = 'k3'", by_kind),
    }
    made = [
        ReadTask(name, _search_traces(text, stores.experiments.traces), _trace_ids, min(PAGE, rows), samples, limit)
        for name, (text, rows) in searches.items()
    ]
    return [*made, ReadTask("open a trace", _open_trace(newest.id), _span_ids, len(newest.span_ids), samples, limit)]


def _search_traces(text: str, experiment: str) -> Fetch:
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    body = {"locations": [place], "filter": text, "max_results": PAGE, "order_by": ["timestamp_ms DESC"]}
    return lambda connection: [connection.post(f"{TRACES}/search", body)]


def _trace_ids(answers: list[bytes]) -> list[str]:
    return [str(trace["trace_id"]) for trace in json.loads(answers[0]).get("traces", [])]


def _open_trace(trace_id: str) -> Fetch:
    return lambda connection: [connection.get(f"{TRACES}/get", trace_id=trace_id)]


def _span_ids(answers: list[bytes]) -> list[str]:
    return [str(span["span_id"]) for span in json.loads(answers[0])["trace"]["spans"]]


def _models(condition: str) -> Fetch:
    """The request of the page of registered models."""
    # Without prompts, as MLflow's page and client search.
    query = {
        "filter": "tag.`mlflow.prompt.is_prompt` != 'true'" + condition,
        "order_by": "last_updated_timestamp DESC",
    }
    return lambda connection: [connection.get(f"{API}/registered-models/search", max_results=PAGE, **query)]


def _model_ids(answers: list[bytes]) -> list[str]:
    return [str(model["name"]) for model in json.loads(answers[0]).get("registered_models", [])]
