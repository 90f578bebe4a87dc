"""Searches for runs: filters, orders, views and pages."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from mlflow_postgres.rest import search_plans

from . import odd_runs
from .questions import FILTERS, NOWHERE, ORDERS, REFUSED, Question, questions, token
from .sides import Request, Sides

FAR = token(f'{{"offset": {10**18}}}')
"""An offset that PostgreSQL could not count to."""
VIEWS = {1: "ACTIVE_ONLY", 2: "DELETED_ONLY", 3: "ALL"}


def fill(store: Any) -> None:
    """Runs with everything that a search can stumble over."""
    uri = store.db_uri
    with psycopg.connect(uri.replace("postgresql+mlflow:", "postgresql:", 1)) as connection:
        odd_runs.fill(MlflowClient(uri), connection)


@pytest.fixture(scope="module")
def experiments(sides: Sides) -> dict[str, str]:
    found = {}
    for name in odd_runs.RUNS:
        query = {"experiment_name": f"searches {name}"}
        answer = sides.ask(Request("GET", "/api/2.0/mlflow/experiments/get-by-name", query=query))
        found[name] = answer.body["experiment"]["experiment_id"]
    return found


def search(body: Any) -> Request:
    return Request("POST", "/api/2.0/mlflow/runs/search", body)


def asked(each: Question, experiments: dict[str, str]) -> Request:
    body: dict[str, Any] = {
        "experiment_ids": [experiments[name] for name in each.experiments],
        "filter": each.filter,
        "order_by": list(each.order),
        "run_view_type": VIEWS[each.view],
    }
    body |= {} if each.most is None else {"max_results": each.most}
    return search(body | ({} if each.token is None else {"page_token": each.token}))


def test_every_question_is_answered_as_mlflow_does(sides: Sides, experiments: dict[str, str]) -> None:
    served = 0
    for each in questions():
        is_served = sides.is_served(asked(each, experiments))
        served += is_served
        is_plain = each not in REFUSED and each.token != FAR
        assert is_served == is_plain, each
    assert served > 200


@pytest.mark.parametrize("best", [1, 5, 40])
def test_the_best_values_of_a_metric_are_not_all(
    sides: Sides, experiments: dict[str, str], monkeypatch: pytest.MonkeyPatch, best: int
) -> None:
    """So few count as the best that pages end within them, at them, and beyond."""
    monkeypatch.setattr(search_plans, "_LEAST", best)
    monkeypatch.setattr(search_plans, "_TIMES", 1)
    for each in questions():
        if each.order and each.order[0].startswith("metrics.") and each not in REFUSED:
            sides.ask(asked(each, experiments))
            sides.ask(asked(replace(each, most=3), experiments))


JOINED = (
    *("params.q = '1'", "params.p LIKE '4%'", "tags.t != 'x'", "tags.t = '42'", "metrics.m > 0", "metrics.m != 1.5"),
    *("tags.`名前` LIKE '名%'", "params.p ILIKE 'a%'", "dataset.name LIKE 't%'", "attributes.run_name LIKE 'run-1%'"),
    *("params.q = '1' and metrics.m > -1", "params.q LIKE '1%' and status = 'FINISHED' and tags.nothing IS NOT NULL"),
    *("params.p = 'nowhere'", "metrics.m > 1e300", "params.q = '1' and tags.t = 'nowhere'"),
)
"""Filters on what runs have, some that find many and some that find few or none."""


@pytest.mark.parametrize(("few", "newest"), [(1, 1), (1, 30), (1, 1_000), (3, 20), (10_000, 1_000)])
def test_runs_are_found_among_the_newest_or_by_a_condition(
    sides: Sides, experiments: dict[str, str], monkeypatch: pytest.MonkeyPatch, few: int, newest: int
) -> None:
    """So few count as the newest, or as few, that pages end within them, at them, and beyond.

    Nine runs start at the same time.
    """
    for name, value in (("_FEW", few), ("_LEAST", newest), ("_NEWEST_TIMES", 1)):
        monkeypatch.setattr(search_plans, name, value)
    places = [[experiments["odd"]], [experiments["empty"]], list(experiments.values())]
    orders: list[list[str]] = [[], ["start_time DESC"], ["attributes.start_time DESC", "run_id ASC"]]
    for number, text in enumerate(JOINED):
        body: dict[str, Any] = {"filter": text, "experiment_ids": places[0]}
        found = len(sides.ask(search(body)).body.get("runs", []))
        for most in {2, max(found - 1, 1), max(found, 1), found + 1}:
            assert sides.is_served(search(body | {"order_by": orders[most % 2], "max_results": most}))
        for view in VIEWS.values():
            more = {"order_by": orders[number % 3], "run_view_type": view, "experiment_ids": places[number % 3]}
            first = search(body | more | {"max_results": 4})
            assert sides.is_served(first)
            following = sides.ask(first).body.get("next_page_token")
            if following:
                assert sides.is_served(search(body | more | {"max_results": 4, "page_token": following}))


def statements(sides: Sides, monkeypatch: pytest.MonkeyPatch, request: Request) -> list[Any]:
    """Those that find the runs."""
    asked: list[Any] = []
    read = sides.pool.read

    def recorded(statement: Any, values: Any, **options: Any) -> Any:
        asked.extend([statement] if options.get("prepare") is False else [])
        return read(statement, values, **options)

    with monkeypatch.context() as patch:
        patch.setattr(sides.pool, "read", recorded)
        assert sides.is_served(request)
    return asked


def test_a_page_is_read_once_if_the_newest_fill_it_or_are_all(
    sides: Sides, experiments: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    body: dict[str, Any] = {"experiment_ids": [experiments["odd"]], "filter": "metrics.`名前` >= 0"}
    monkeypatch.setattr(search_plans, "_FEW", 3)
    for most in (5, 10_000):
        assert len(statements(sides, monkeypatch, search(body | {"max_results": most}))) == 1
    monkeypatch.setattr(search_plans, "_LEAST", 20)
    monkeypatch.setattr(search_plans, "_NEWEST_TIMES", 1)
    assert len(statements(sides, monkeypatch, search(body | {"max_results": 5}))) == 1
    sparse = search(body | {"filter": "metrics.`名前` >= 0 and metrics.sparse >= 0", "max_results": 5})
    assert len(statements(sides, monkeypatch, sparse)) == 2
    # Few have it, and these are all read.
    monkeypatch.setattr(search_plans, "_FEW", 100)
    assert len(statements(sides, monkeypatch, sparse)) == 1


@pytest.mark.parametrize("most", [1, 2, 7, 50, 10_000])
@pytest.mark.parametrize("view", VIEWS.values())
@pytest.mark.parametrize("order", [[], ["start_time ASC"], ["attributes.start_time DESC"], ["params.p DESC", "tags.t"]])
def test_pages_follow_each_other(
    sides: Sides, experiments: dict[str, str], most: int, view: str, order: list[str]
) -> None:
    body = {"experiment_ids": list(experiments.values()), "run_view_type": view, "order_by": order, "max_results": most}
    following = None
    for _ in range(4):
        request = search(body | ({"page_token": following} if following else {}))
        assert sides.is_served(request)
        following = sides.ask(request).body.get("next_page_token")
        if not following:
            break


BODIES: list[tuple[bool, dict[str, Any]]] = [
    (True, {}),
    (True, {"experiment_ids": []}),
    (True, {"experiment_ids": ["0", "0", "999"]}),
    (True, {"experiment_ids": ["0"], "max_results": 50_000}),
    (True, {"experiment_ids": ["0"], "page_token": ""}),
    (False, {"experiment_ids": "0"}),
    (False, {"experiment_ids": [0]}),
    (False, {"experiment_ids": ["x"]}),
    (False, {"experiment_ids": [""]}),
    (False, {"experiment_ids": [" 1"]}),
    (False, {"experiment_ids": ["1_0"]}),
    (False, {"experiment_ids": None, "filter": 5}),
    (False, {"max_results": 0}),
    (False, {"max_results": -1}),
    (False, {"max_results": 50_001}),
    (False, {"max_results": "5"}),
    (False, {"run_view_type": "NONSENSE"}),
    (False, {"run_view_type": 2}),
    (False, {"order_by": "start_time"}),
    (False, {"order_by": [5]}),
    (False, {"order_by": [""]}),
    (False, {"order_by": ["'"]}),
    (False, {"order_by": ["start_time", "attributes.Created"]}),
    (False, {"order_by": ["tags.`a b` DESC NULLS FIRST"]}),
    (False, {"filter": "params.p LIKE '\\'"}),
    (False, {"filter": "start_time > 1.5"}),
    (False, {"filter": "start_time > 99999999999999999999"}),
    (False, {"filter": "metrics.m > 1e999"}),
    (False, {"filter": "params.p = 'a\0b'"}),
    (False, {"filter": ";"}),
    (False, {"filter": "params.p = '1' OR params.p = '2'"}),
    (False, {"filter": "params.p = '1'; params.p = '2'"}),
    (False, {"unknown": 1}),
]


@pytest.mark.parametrize(("is_plain", "body"), BODIES, ids=range(len(BODIES)))
def test_odd_bodies(sides: Sides, experiments: dict[str, str], is_plain: bool, body: dict[str, Any]) -> None:
    assert sides.is_served(search({"experiment_ids": [experiments["odd"]]} | body)) == is_plain
    sides.ask(search(body))


MORE_FILTERS = [
    *("run_id IN ('a', 'b')", "run_id NOT IN ('a')", "attributes.run_id = 'x'", "run_id LIKE '%a%'", "run_id != 'x'"),
    *("user_id = ''", "user_id != ''", "attributes.user_id ILIKE '%'", "artifact_uri LIKE 'mlflow-artifacts:%'"),
    *(
        "end_time > 1700000900100",
        "end_time <= 1700000900100",
        "end_time != 0",
        "created > 1700000000010",
        "Created = 5",
    ),
    *(
        "`run name` = 'run-7'",
        "attributes.`Run Name` LIKE 'run-_'",
        "run.status != 'FINISHED'",
        "attr.status = 'KILLED'",
    ),
    *(
        "start_time >= -5",
        "parameters.q = '1'",
        "param.q = '2'",
        "tag.t = '42'",
        'params."p" = "42"',
        "tags.`t` ilike '4%'",
    ),
    *("params.p is null", "params.`nope` is not null and tags.t IS NOT NULL", "metrics.m > -1.5e-3", "metrics.m = .5"),
    *("tags.t = '%s' and params.p = '%(x)s'", "tags.`%` = '%'", "params.p LIKE '{0}'", "tags.t != '\\'"),
]


@pytest.mark.parametrize("text", MORE_FILTERS)
def test_further_filters(sides: Sides, experiments: dict[str, str], text: str) -> None:
    assert sides.is_served(search({"experiment_ids": list(experiments.values()), "filter": text, "max_results": 25}))


letters = st.text(st.sampled_from("ab4%_\\'\"`. 名😀(),"), max_size=6)
key = st.sampled_from(["p", "q", "t", "m", "`名前`", "nothing", "sparse", "nope"])
comparator = st.sampled_from(["=", "!=", "LIKE", "ILIKE", ">", "<=", "IS NULL", "IS NOT NULL", "IN", "~"])
value = st.one_of(
    letters.map(lambda text: f"'{text}'"), st.sampled_from(["'42'", "'4%'", "1", "-1.5", "1e3", "", "('a', 'b')"])
)
entity = st.sampled_from(["params.", "tags.", "metrics.", "attributes.", "", "tag.", "dataset.", "run."])
clause = st.builds(lambda *parts: f"{parts[0]}{parts[1]} {parts[2]} {parts[3]}", entity, key, comparator, value)
filters = st.one_of(
    st.lists(clause, min_size=1, max_size=3).map(" AND ".join),
    st.lists(st.sampled_from([*FILTERS, *NOWHERE, *MORE_FILTERS]), max_size=3).map(
        lambda each: " and ".join(filter(None, each))
    ),
    letters,
)
orders = st.lists(
    st.sampled_from(
        [*(term for order in ORDERS for term in order), "run_id", "end_time desc", "tags.t ASC", "params.`q`", "x y"]
    ),
    max_size=3,
)


@settings(
    max_examples=int(os.environ.get("EXAMPLES", "150")),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=filters, order=orders, view=st.sampled_from(list(VIEWS.values())), most=st.integers(1, 30))
@example(text="params.p = '4' AND", order=[], view="ALL", most=5)
def test_any_search_is_answered_as_mlflow_does(
    sides: Sides, experiments: dict[str, str], text: str, order: list[str], view: str, most: int
) -> None:
    body = {"experiment_ids": list(experiments.values()), "filter": text, "order_by": order}
    sides.ask(search(body | {"run_view_type": view, "max_results": most}))


def test_a_run_that_is_read_has_its_datasets(sides: Sides, experiments: dict[str, str]) -> None:
    found = sides.ask(search({"experiment_ids": [experiments["odd"]], "max_results": 50_000})).body["runs"]
    for run in found[:40]:
        assert sides.is_served(Request("GET", "/api/2.0/mlflow/runs/get", query={"run_id": run["info"]["run_id"]}))
    assert any(run["inputs"] for run in found)


def test_runs_without_a_start_time_come_where_mlflow_has_them(
    sides: Sides, experiments: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Last of all in an order by it, and first where nothing is said."""
    sides.execute(
        "UPDATE runs SET start_time = NULL WHERE run_uuid IN"
        " (SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' ORDER BY run_uuid LIMIT 3)"
    )
    monkeypatch.setattr(search_plans, "_FEW", 1)
    for order in (["start_time DESC"], ["start_time ASC"], [], ["attributes.start_time DESC", "tags.t"], ["metrics.m"]):
        for most in (1, 5, 20, 10_000):
            for name, text in (("odd", ""), ("other", ""), ("odd", "tags.t != 'x'"), ("other", "params.q LIKE '1%'")):
                body = {"experiment_ids": [experiments[name]], "order_by": order, "max_results": most, "filter": text}
                sides.ask(search(body))
                sides.ask(search(body | {"page_token": token('{"offset": 3}')}))
    sides.execute("UPDATE runs SET start_time = 0 WHERE start_time IS NULL")


SEARCHES: dict[str, dict[str, Any]] = {
    "mlflow_postgres_runs_newest": {},
    "mlflow_postgres_latest_metrics_value": {"order_by": ["metrics.m DESC"]},
    "mlflow_postgres_params_value": {"filter": "params.p = '42'"},
    "mlflow_postgres_tags_value": {"filter": "tags.t LIKE '42%'"},
    "mlflow_postgres_tags_short": {"filter": "tags.t = '42'"},
}
"""The search that each index on runs is there for."""


@pytest.mark.parametrize("index", SEARCHES)
def test_each_index_can_serve_the_search_that_it_is_there_for(
    sides: Sides, experiments: dict[str, str], monkeypatch: pytest.MonkeyPatch, index: str
) -> None:
    asked: list[tuple[Any, Any]] = []
    read = sides.pool.read

    def recorded(statement: Any, values: Any, **options: Any) -> Any:
        asked.append((statement, values))
        return read(statement, values, **options)

    monkeypatch.setattr(sides.pool, "read", recorded)
    assert sides.is_served(search({"experiment_ids": [experiments["odd"]], "max_results": 5, **SEARCHES[index]}))
    statement, values = asked[0]
    with psycopg.connect(sides.ours.store.db_uri.replace("postgresql+mlflow:", "postgresql:", 1)) as connection:
        # The plan must not depend on whether autovacuum has already counted the rows.
        connection.execute("ANALYZE")
        # So few rows would be read and sorted without an index.
        for way in ("seqscan", "sort"):
            connection.execute(f"SET LOCAL enable_{way} = off".encode())
        plan = "\n".join(str(row[0]) for row in connection.execute(b"EXPLAIN " + statement.encode(), values))
    assert index in plan, plan
