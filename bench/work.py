"""The reading work: what is asked of each side over one connection, and what each answer must hold."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.data import METRICS, PARAMS, STEPS, TAGS
from bench.measure import Task
from bench.searches import PAGE, SEARCHES, Search, floor_of
from bench.seed import Stores
from bench.sides import Side
from bench.trace_data import MODELS
from bench.wire import AJAX, API, TRACES, Wire, WrongAnswerError

COMPARED = 50
"""Runs on the compare page."""
QUICK = 0.5
"""Seconds; what takes longer is read once in a round."""
READING = "reading"

Fetch = Callable[[Wire], list[bytes]]
Ids = Callable[[list[bytes]], list[str]]


@dataclass
class Cell(Task):
    """One piece of reading work."""

    name: str
    fetch: Fetch
    """All that is timed."""
    ids: Ids
    """What the answers hold, in their order; the sides must agree on it."""
    expected: int
    samples: int
    limit: float
    settling: float = 0.0
    """Seconds that the first round goes on asking for: to each worker of a server every question is new once."""

    group: str = READING
    unit: str = "s"
    agreed: list[str] | None = field(default=None)

    def measure(self, side: Side) -> list[float]:
        readings: list[float] = []
        with side.connect(self.limit) as wire:
            # The connection, and the session with the database that its worker may have to open first, are not timed.
            wire.get(f"{API}/experiments/get", experiment_id=0)
            while len(readings) < self.samples and not (readings and readings[0] > QUICK):
                wire.allow(self.limit)
                began = time.monotonic()
                answers = self.fetch(wire)
                readings.append(time.monotonic() - began)
            self._check(self.ids(answers))
        return readings

    def warm_up(self, side: Side) -> None:
        end = time.monotonic() + self.settling
        self.measure(side)
        # Each time over a connection of its own, so that all of the server's workers get some.
        while time.monotonic() < end:
            self.measure(side)

    def rows(self) -> int:
        return self.expected

    def _check(self, seen: list[str]) -> None:
        if len(seen) != self.expected:
            raise WrongAnswerError(f"{len(seen)} rows instead of {self.expected}")
        if self.agreed is None:
            self.agreed = seen
        if seen != self.agreed:
            raise WrongAnswerError(f"other rows than on another side, from {seen[0]} instead of {self.agreed[0]}")


def searching(search: Search, experiment: str) -> Fetch:
    """Ask for the first page of a search."""
    body = {
        "experiment_ids": [experiment],
        "filter": search.filter,
        "order_by": list(search.order_by),
        "max_results": PAGE,
        "run_view_type": "ACTIVE_ONLY",
    }
    return lambda wire: [wire.post(f"{API}/runs/search", body)]


def run_ids(answers: list[bytes]) -> list[str]:
    """Ids of the runs of a search's answer. Raises WrongAnswerError when one of them lacks something."""
    runs = json.loads(answers[0]).get("runs", [])
    for run in runs:
        held = {key: len(run["data"].get(key, [])) for key in ("metrics", "params", "tags")}
        if held != {"metrics": METRICS, "params": PARAMS, "tags": TAGS + 4}:
            raise WrongAnswerError(f"run {run['info']['run_id']} came with {held}")
    return [str(run["info"]["run_id"]) for run in runs]


def cells(stores: Stores, side: Side, samples: int, limit: float) -> list[Cell]:
    """The reading work at the stores' present size. The ids that some of it starts from are asked of one side."""
    where = stores.experiments
    found = {search.name: run_ids(side.patiently(searching(search, where.runs))) for search in SEARCHES}
    made = [
        Cell(search.name, searching(search, where.runs), run_ids, stores.tally.rows(search.name), samples, limit)
        for search in SEARCHES
    ]
    for search in SEARCHES:
        # No ids cannot be asked for.
        if search.floor and (ids := found[search.name]):
            by_id = Search(floor_of(search.name), "filtered", _in("attributes.run_id", ids), (), search.matches)
            made.append(Cell(by_id.name, searching(by_id, where.runs), run_ids, len(ids), samples, limit))
    newest = found["newest 100"]
    made += [
        Cell("run page", _run_page(newest[0]), _run_page_ids, 1, samples, limit),
        Cell("metric history, 10,000 steps", _history(stores.history_run), _history_ids, STEPS, samples, limit),
        Cell("compare 50 runs", _compare(newest[:COMPARED]), _compare_ids, COMPARED * 2, samples, limit),
        *_trace_cells(stores, samples, limit),
        Cell("model registry, 100 newest", _models, _model_ids, min(PAGE, MODELS), samples, limit),
    ]
    return made


def _in(attribute: str, values: Sequence[str]) -> str:
    return f"{attribute} IN ({', '.join(repr(value) for value in values)})"


def _run_page(run_id: str) -> Fetch:
    return lambda wire: [
        wire.get(f"{API}/runs/get", run_id=run_id),
        wire.get(f"{API}/artifacts/list", run_id=run_id),
    ]


def _run_page_ids(answers: list[bytes]) -> list[str]:
    run, artifacts = map(json.loads, answers)
    if artifacts.get("files"):
        raise WrongAnswerError("artifacts of a run that has none")
    return run_ids([json.dumps({"runs": [run["run"]]}).encode()])


def _history(run_id: str) -> Fetch:
    def fetch(wire: Wire) -> list[bytes]:
        query = {"run_id": run_id, "metric_key": "loss", "max_results": "25000"}
        pages = [wire.get(f"{API}/metrics/get-history", **query)]
        while token := json.loads(pages[-1]).get("next_page_token"):
            pages.append(wire.get(f"{API}/metrics/get-history", **query, page_token=token))
        return pages

    return fetch


def _history_ids(answers: list[bytes]) -> list[str]:
    return [str(metric["step"]) for page in answers for metric in json.loads(page)["metrics"]]


def _compare(ids: list[str]) -> Fetch:
    """As the compare page does: each run by itself, and one metric of all of them for the chart."""
    bulk = f"{AJAX}/metrics/get-history-bulk-interval"
    return lambda wire: [
        *(wire.get(f"{API}/runs/get", run_id=run_id) for run_id in ids),
        wire.get(bulk, run_ids=ids, metric_key="m0", max_results=320),
    ]


def _compare_ids(answers: list[bytes]) -> list[str]:
    *runs, chart = map(json.loads, answers)
    metrics = sorted(metric["run_id"] for metric in chart["metrics"])
    return [*(str(run["run"]["info"]["run_id"]) for run in runs), *map(str, metrics)]


def _trace_cells(stores: Stores, samples: int, limit: float) -> list[Cell]:
    traces = stores.traces
    newest = max(traces, key=lambda trace: trace.start)
    by_tag = sum(trace.team == "team-7" for trace in traces)
    by_kind = sum(trace.status == "ERROR" and trace.kind == "k3" for trace in traces)
    # Each asks for the newest first, as the page does.
    searches = {
        "newest 100 traces": ("", len(traces)),
        "traces by tag": ("tags.team = 'team-7'", by_tag),
        "traces by status, metadata": ("status = 'ERROR' and metadata.kind = 'k3'", by_kind),
    }
    made = [
        Cell(name, _search_traces(text, stores.experiments.traces), _trace_ids, min(PAGE, rows), samples, limit)
        for name, (text, rows) in searches.items()
    ]
    return [*made, Cell("open a trace", _open_trace(newest.id), _span_ids, len(newest.span_ids), samples, limit)]


def _search_traces(text: str, experiment: str) -> Fetch:
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    body = {"locations": [place], "filter": text, "max_results": PAGE, "order_by": ["timestamp_ms DESC"]}
    return lambda wire: [wire.post(f"{TRACES}/search", body)]


def _trace_ids(answers: list[bytes]) -> list[str]:
    return [str(trace["trace_id"]) for trace in json.loads(answers[0]).get("traces", [])]


def _open_trace(trace_id: str) -> Fetch:
    return lambda wire: [wire.get(f"{TRACES}/get", trace_id=trace_id)]


def _span_ids(answers: list[bytes]) -> list[str]:
    return [str(span["span_id"]) for span in json.loads(answers[0])["trace"]["spans"]]


def _models(wire: Wire) -> list[bytes]:
    # Without the prompts, as the page and the client ask.
    query = {"filter": "tag.`mlflow.prompt.is_prompt` != 'true'", "order_by": "last_updated_timestamp DESC"}
    return [wire.get(f"{API}/registered-models/search", max_results=PAGE, **query)]


def _model_ids(answers: list[bytes]) -> list[str]:
    return [str(model["name"]) for model in json.loads(answers[0])["registered_models"]]
