"""Run in a process of its own: asks MLflow's own store, then ours, the same questions, and prints what they say.

A question is `[filter, order, view, most, experiment ids, token]`.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy
from google.protobuf.json_format import MessageToDict
from mlflow.exceptions import MlflowException
from mlflow.protos.service_pb2 import SearchRuns
from mlflow.server import app, handlers
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from .questions import DEFAULT

ARTIFACTS = "mlflow-artifacts:/"
API = "/api/2.0/mlflow/runs"
PAGES = 2
"""Pages of one answer that are turned at most, where an order is asked for. Each tells the token of the next one."""
VIEWS = {1: "ACTIVE_ONLY", 2: "DELETED_ONLY", 3: "ALL"}

SEARCHES: dict[str, tuple[str, list[str]]] = {
    "mlflow_postgres_runs_newest": ("", []),
    "mlflow_postgres_latest_metrics_value": ("", ["metrics.m DESC"]),
    "mlflow_postgres_params_value": ("params.p = '42'", []),
    "mlflow_postgres_tags_value": ("tags.t LIKE '42%'", []),
    "mlflow_postgres_tags_short": ("tags.t = '42'", []),
}
"""The search, by filter and order, that each index is there for."""

SIGNS = ("left(", ".value IS NOT NULL", "json_agg(")
"""What only the faster store says to the database."""

RANGES = ("", "metrics.sparse > 7", "metrics.sparse > 8", "metrics.sparse > 9")
"""Conditions that all runs meet, eight that have the metric, four, and none."""

FEW = (5, 12)
"""Values that count as the best: fewer than a page holds, and enough for the first page and not for the next."""

statements: list[tuple[str, Any]] = []
"""What the database has been asked, with its parameters."""


def main(address: str, questions: list[Any]) -> dict[str, Any]:
    """How many runs each question found, the refusals, those that differ, and how the database was asked."""
    make: Any = SqlAlchemyStore
    plain = make(address, ARTIFACTS)
    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", lambda *it: statements.append((it[2], it[3])))
    expected = [answer(plain, each) for each in questions]
    ids = [run.info.run_id for run in plain.search_runs(questions[0][4], "", 3, 1_000)]
    # Over HTTP, what is not asked differs: a few of each kind, and all that is refused.
    over_http = [
        question
        for number, (question, pages) in enumerate(zip(questions, expected, strict=True))
        if number % 5 == 0 or "refused" in pages[-1]
    ]
    replies = served(plain, over_http, ids)
    asked_plainly = " ".join(text for text, _ in statements)
    kept_plainly = kept(plain, questions[0][4])
    statements.clear()

    from mlflow_postgres.database import metric_order, store

    # Twice, as a worker and a client in the same process do.
    store.tracking_store(address, None)
    ours = store.tracking_store(address, ARTIFACTS)
    given = [answer(ours, each) for each in questions]
    others = served(ours, over_http, ids)
    asked = " ".join(text for text, _ in statements)
    with ThreadPoolExecutor(4) as threads:
        at_once = list(threads.map(lambda each: answer(ours, each), questions[::8]))
    from mlflow_postgres.database.run_data import _reading

    # The same with so few values that count as the best that they fill a page seldom, and for others sometimes.
    least, times, metric_order._TIMES = metric_order._LEAST, metric_order._TIMES, 0
    ordered = [
        (each, found) for each, found in zip(questions, expected, strict=True) if is_ordered_by_values(each, found)
    ]
    few, tries_of_few = [], []
    for place, metric_order._LEAST in enumerate(FEW):
        few += [(each, found, answer(ours, each)) for each, found in ordered[place :: len(FEW)]]
        tries_of_few.append([len(reading(ours, each, ["metrics.sparse DESC"], questions[0][4])) for each in RANGES])
    metric_order._LEAST, metric_order._TIMES = least, times

    asked_again = zip(questions[::8], expected[::8], at_once, strict=True)
    differing = [
        (question, shortened(mlflows), shortened(own))
        for question, mlflows, own in (*zip(questions, expected, given, strict=True), *asked_again, *few)
        if mlflows != own
    ]
    differing += [("served", *pair) for pair in zip(replies, others, strict=True) if pair[0] != pair[1]]
    return {
        "found": [sum(len(page["runs"]) for page in pages if "runs" in page) for pages in expected],
        "refused": [pages[-1].get("refused") for pages in expected],
        "differing": differing,
        "left_behind": [_reading.get(), metric_order._ordering.get()],
        "plainly": [sign in asked_plainly for sign in SIGNS],
        "served": [sign in asked for sign in SIGNS],
        "kept": [kept_plainly, kept(ours, questions[0][4])],
        "tries": len(reading(ours, "", ["metrics.nope DESC"], questions[0][4])),
        "tries_of_few": tries_of_few,
        "tries_within": [len(reading(ours, each, ["metrics.sparse DESC"], questions[0][4])) for each in RANGES],
        "paged": paged(ours, questions[0][4][:1]),
        "plans": {index: plan(ours, *search, questions[0][4]) for index, search in SEARCHES.items()},
    }


def paged(store: Any, experiments: list[str]) -> list[list[Any]]:
    """The id and the metric of every run, page by page in the order of the metric, which few of them have."""
    pages: list[list[Any]] = []
    token = None
    # A token that leads back would never end.
    while (token or not pages) and len(pages) < 20:
        page = store.search_runs(experiments, "", 1, 9, ["metrics.sparse DESC"], token)
        pages.append([[run.info.run_id, run.data.metrics.get("sparse")] for run in page])
        token = page.token
    return pages


def is_ordered_by_values(question: list[Any], pages: list[dict[str, Any]]) -> bool:
    """Whether a question is ordered by a metric first, and finds more runs than the fewest that count as the best.

    Whatever a run has beside its metrics is looked for in the same way, however many count.
    """
    search, order, _, most, *_ = question
    asks_only_for_values = most == DEFAULT and "metric" not in search
    found = sum(len(page.get("runs", ())) for page in pages)
    return str(order[:1]).startswith("['metrics.") and found > FEW[0] and not asks_only_for_values


def answer(store: Any, question: list[Any]) -> list[dict[str, Any]]:
    """Every field of every run of the first pages, and their tokens; or what the store says instead."""
    search, order, view, most, experiments, token = question
    pages: list[dict[str, Any]] = []
    while len(pages) < (PAGES if order else 1) and (token or not pages):
        try:
            page = store.search_runs(experiments, search, view, most, order, token)
        except MlflowException as refusal:
            # What the database was asked is quoted behind it.
            return [*pages, {"refused": f"{refusal.error_code}: {refusal.message.partition('[SQL')[0]}"}]
        token = page.token
        said = MessageToDict(response(page), preserving_proto_field_name=True)
        pages.append({"runs": said.get("runs", []), "token": str(token)})
        for run in pages[-1]["runs"]:
            # Nobody says in what order these are read.
            for details in run["data"].values():
                details.sort(key=lambda each: str(each["key"]))
    return pages


def served(store: Any, questions: list[Any], run_ids: list[str]) -> list[Any]:
    """What the server answers to each question, its first page, and to who asks for each run."""
    handlers._tracking_store = store
    client = app.test_client()
    answers = [
        client.post(
            f"{API}/search",
            json={
                "experiment_ids": experiments,
                "filter": search,
                "order_by": order,
                "run_view_type": VIEWS[view],
                "max_results": 50_000 if most is None else most,
                **({"page_token": token} if token else {}),
            },
        )
        for search, order, view, most, experiments, token in questions
    ]
    answers += [client.get(f"{API}/get", query_string={"run_id": each}) for each in (*run_ids, "nowhere")]
    made = []
    for each in answers:
        said = json.loads(each.data)
        for run in [*said.get("runs", ()), *([said["run"]] if "run" in said else ())]:
            for details in run["data"].values():
                details.sort(key=lambda each: str(each["key"]))
        # Of a refusal, what the database was asked is quoted behind it.
        made.append([each.status_code, said.get("message", "").partition("[SQL")[0] or said])
    return made


def plan(store: Any, search: str, order: list[str], experiments: list[str]) -> str:
    """How PostgreSQL reads the runs of a search when it would rather use any index than none, few as they are."""
    text, parameters = reading(store, search, order, experiments)[0]
    with store.engine.connect() as connection:
        # The plan must not depend on whether autovacuum has already counted the rows.
        connection.exec_driver_sql("ANALYZE")
        for way in ("seqscan", "sort"):
            connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {text}", parameters))


def kept(store: Any, experiments: list[str]) -> list[bool]:
    """Whether a connection keeps a plan of a search that was often asked for, and of what else is asked with it."""
    for _ in range(12):
        store.search_runs(experiments, "tags.t = '42' and metrics.m > 0", 1, 5)
    with store.engine.connect() as connection:
        prepared = [row[0] for row in connection.exec_driver_sql("SELECT statement FROM pg_prepared_statements")]
    searches = [text for text in prepared if "DISTINCT" in text]
    return [bool(searches), len(prepared) > len(searches)]


def reading(store: Any, search: str, order: list[str], experiments: list[str]) -> list[tuple[str, Any]]:
    """The statements that read the runs themselves for a search."""
    statements.clear()
    store.search_runs(experiments, search, 1, 5, order)
    return [each for each in statements if "DISTINCT" in each[0]]


def response(page: Any) -> Any:
    made = SearchRuns.Response()
    made.runs.extend(run.to_proto() for run in page)
    return made


def shortened(pages: list[dict[str, Any]]) -> Any:
    return [page.get("refused") or [page["token"], *(run["info"]["run_id"] for run in page["runs"])] for page in pages]
