"""Searches for experiments: filters, orders, views and pages. They are asked by a body and by a query."""

from __future__ import annotations

import os
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .sides import Request, Sides

PATH = "/api/2.0/mlflow/experiments/search"
VIEWS = ["ACTIVE_ONLY", "DELETED_ONLY", "ALL"]


def fill(store: Any) -> None:
    """Experiments with equal times, no times, equal names but for their letters, and odd tags."""
    uri = store.db_uri.replace("postgresql+mlflow:", "postgresql:", 1)
    with psycopg.connect(uri) as connection:
        for number in range(40):
            name = ["exp", "Exp", "é", "a'b", 'a"b', "100%", "under_score", "back\\slash"][number % 8]
            connection.execute(
                "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time,"
                " last_update_time) VALUES (%s, %s, 'x:/y', %s, %s, %s)",
                [
                    *(100 + number, f"{name} {number // 8}", "deleted" if number % 5 == 0 else "active"),
                    *(
                        None if number % 11 == 0 else 1_000 + number // 3,
                        None if number % 13 == 0 else 2_000 - number // 2,
                    ),
                ],
            )
            tags = {"t": ["1", "42", "Ä", "", "x%"][number % 5], "n": str(number), "`q": "'", "null": None}
            for key, value in list(tags.items())[: number % 5]:
                connection.execute(
                    "INSERT INTO experiment_tags (experiment_id, key, value) VALUES (%s, %s, %s)",
                    [100 + number, key, value],
                )


def by_body(body: Any) -> Request:
    return Request("POST", PATH, body)


def by_query(query: Any) -> Request:
    return Request("GET", PATH, query=query)


def is_served(sides: Sides, arguments: dict[str, Any]) -> bool:
    """Asked both ways, which must not differ."""
    arguments = {"max_results": 1_000} | arguments
    served = sides.is_served(by_body(arguments))
    assert sides.is_served(by_query(arguments)) == served
    return served


FILTERS = [
    *("", "name = 'exp 0'", "name != 'exp 0'", "name LIKE 'exp%'", "name ILIKE 'EXP%'", "attribute.name = 'Exp 1'"),
    *(
        "name LIKE '%\\%%'",
        "name LIKE '%_score%'",
        "name = 'a''b 0'",
        'name = "a\'b 0"',
        "name = 'é 0'",
        "name ILIKE 'É%'",
    ),
    *("name = 'back\\slash 0'", "name LIKE 'back\\\\slash%'", "`name` = 'exp 0'", "name = ''", "name = '%s %(x)s {0}'"),
    *("experiment_id = '100'", "experiment_id != '100'", "experiment_id IN ('100', '103', '999')"),
    *("experiment_id NOT IN ('100')", "attribute.experiment_id = '0'", "experiment_id IN ('101')"),
    *("creation_time = 1000", "creation_time != 1000", "creation_time > 1003", "creation_time >= 1003"),
    *("creation_time < 1003", "last_update_time <= 1990", "last_update_time > -5", "attribute.creation_time < 0"),
    *("tags.t = '1'", "tag.t = '42'", "tags.t != '1'", "tags.t LIKE '4%'", "tags.t ILIKE 'ä'", "tags.t = ''"),
    *(
        "tags.`t` = '1'",
        'tags."t" = "1"',
        "tags.t IS NULL",
        "tags.t IS NOT NULL",
        "tags.nope IS NULL",
        "tags.null IS NULL",
    ),
    *(
        "tags.null = 'x'",
        "tags.null != 'x'",
        "tags.nope = 'x'",
        "tags.`a b` = 'x'",
        "tags.t is null",
        "tags.where = 'local'",
    ),
    "name = 'exp 0' AND",
    "name LIKE 'exp%' AND tags.t = '1' AND creation_time > 0",
    "tags.t = '1' AND tags.t != '2' AND tags.n LIKE '%' AND tags.n IS NOT NULL",
    "name ILIKE '%e%' and last_update_time > 1985 and experiment_id != '101'",
]
REJECTED = [
    *("name", "name =", "= 'x'", "name = x", "name = 5", "name > 'a'", "name IN ('a')", "name RLIKE 'a'", "nope = 'x'"),
    *(
        "experiment_id > '5'",
        "experiment_id = 5",
        "experiment_id = 'x'",
        "experiment_id IN ()",
        "experiment_id LIKE '1%'",
    ),
    *("experiment_id IN ('x')", "experiment_id = ' 5'", "experiment_id = '05'", "experiment_id = '99999999999'"),
    *("experiment_id = '-1'", "experiment_id IN ('1_0')", "experiment_id in ('101')"),
    *("creation_time = '5'", "creation_time = 1.5", "creation_time LIKE '5'", "creation_time > 99999999999999999999"),
    *("creation_time IN (5)", "creation_time IS NULL", "name IS NULL", "tags.t > '1'", "tags.t IN ('1')", "tags.t = 5"),
    *("tags.t RLIKE '1'", "metrics.m > 1", "params.p = '1'", "name = 'a' OR name = 'b'", "name = 'a'; name = 'b'", ";"),
    *("name LIKE 'a\\'", "tags.t LIKE '\\'", "tags.t like '1'", "name = 'a", "'", "(name = 'a')"),
    *("attributes.name = 'exp 0'", "attr.name = 'exp 0'"),
]
ORDERS: list[list[str]] = [
    [],
    ["name"],
    ["name ASC"],
    ["name DESC"],
    ["name asc", "experiment_id desc"],
    ["experiment_id"],
    ["experiment_id DESC"],
    ["creation_time"],
    ["creation_time DESC", "name"],
    ["last_update_time DESC"],
    ["last_update_time ASC", "creation_time DESC", "experiment_id"],
    ["attribute.name DESC"],
    ["name", "name DESC"],
    ["`name`"],
]
REJECTED_ORDERS: list[list[str]] = [
    *(
        [each]
        for each in ("", "nope", "name UP", "name ASC DESC", "tags.t", "metrics.m", "'", "name,", "lifecycle_stage")
    ),
    ["name", "tags.t"],
]


@pytest.mark.parametrize("text", FILTERS)
def test_filters_are_those_of_mlflow(sides: Sides, text: str) -> None:
    for view in VIEWS:
        assert is_served(sides, {"filter": text, "view_type": view})
        assert is_served(sides, {"filter": text, "view_type": view, "max_results": 3, "order_by": ["name"]})


@pytest.mark.parametrize("text", REJECTED)
def test_mlflow_answers_for_other_filters(sides: Sides, text: str) -> None:
    assert not is_served(sides, {"filter": text})


def test_orders_and_pages_are_those_of_mlflow(sides: Sides) -> None:
    for order in ORDERS:
        for view in VIEWS:
            for most in (1, 7, 1_000, 50_000):
                arguments = {"order_by": order, "view_type": view, "max_results": most}
                for _ in range(4):
                    assert is_served(sides, arguments), order
                    token = sides.ask(by_body(arguments)).body.get("next_page_token")
                    if not token:
                        break
                    arguments["page_token"] = token
    for order in REJECTED_ORDERS:
        assert not is_served(sides, {"order_by": order}), order


ODD: list[Any] = ["x", 5, None, {}, [5]]
BODIES: list[tuple[bool, Any]] = [
    (True, {"max_results": 5}),
    (True, {"max_results": 5, "page_token": ""}),
    (True, {"max_results": 5, "filter": "", "order_by": []}),
    (False, ""),
    (False, []),
    (False, {}),
    (False, {"maxResults": 5}),
    *((False, {"max_results": each}) for each in (0, -1, 50_001, "5", None, 5.5, 2**63)),
    *((False, {"max_results": 5, "view_type": each}) for each in ("", "NONSENSE", 1, None, "all")),
    *((False, {"max_results": 5, "order_by": each}) for each in ODD),
    *((False, {"max_results": 5, "filter": each}) for each in ODD),
    (False, {"max_results": 5, "filter": "name = 'a\0b'"}),
    *((False, {"max_results": 5, "page_token": each}) for each in [*ODD, "eyJvZmZzZXQiOiAtMX0="]),
    *((False, {"max_results": 5, each: "ALL"}) for each in ("unknown", "viewType")),
]


@pytest.mark.parametrize(("is_plain", "body"), BODIES, ids=range(len(BODIES)))
def test_odd_bodies(sides: Sides, is_plain: bool, body: Any) -> None:
    assert sides.is_served(by_body(body)) == is_plain


@pytest.mark.parametrize(
    ("is_plain", "query"),
    [
        (True, "max_results=1000"),
        (True, "max_results=5&order_by=last_update_time+DESC"),
        (True, "filter=name+ILIKE+%27%25e%25%27&max_results=25&order_by=name&order_by=creation_time"),
        (True, "view_type=ALL&page_token=&max_results=9"),
        *(
            (False, f"max_results={each}")
            for each in ("", "0", "-1", "x", "5.0", "05", "%205", "50001", "5&max_results=6")
        ),
        *((False, f"max_results=5&{each}") for each in ("view_type=", "view_type=1", "view_type=all", "order_by=")),
        *(
            (False, f"max_results=5&{each}")
            for each in ("filter=%00", "filter=a&filter=b", "page_token=x", "unknown=1")
        ),
        *((False, each) for each in ("", "max_results", "maxResults=5", "view_type=ALL")),
    ],
)
def test_odd_queries(sides: Sides, is_plain: bool, query: str) -> None:
    assert sides.is_served(by_query(query)) == is_plain


def test_what_is_not_asked_by_a_query_and_a_body(sides: Sides) -> None:
    assert not sides.is_served(Request("POST", PATH, {}, query={"max_results": 5}))
    assert not sides.is_served(Request("GET", PATH, {"max_results": 5}, query={"max_results": 5}))
    assert not sides.is_served(Request("GET", PATH, {"max_results": 5}))
    assert sides.is_served(Request("GET", PATH.replace("/api/", "/ajax-api/"), query={"max_results": 5}))


texts = st.sampled_from(["''", "'exp 0'", "'1'", "'%'", "'e%'", "'_xp %'", "'42'", '"é 1"', "'x\\%'", "'100'"])
comparators = st.sampled_from(["=", "!=", "LIKE", "ILIKE", "IN", ">", "IS NULL", "like"])
numbers = st.integers(990, 2_010).map(str)
conditions = st.one_of(
    st.tuples(st.sampled_from(["name", "tags.t", "tags.n", "tag.null", "experiment_id"]), comparators, texts).map(
        " ".join
    ),
    st.tuples(
        st.sampled_from(["creation_time", "last_update_time"]), st.sampled_from(["=", "!=", "<", ">="]), numbers
    ).map(" ".join),
)
filters = st.lists(conditions, max_size=3).map(" AND ".join)


@settings(
    max_examples=int(os.environ.get("EXAMPLES", "150")),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    text=filters,
    order=st.lists(st.sampled_from([term for order in ORDERS for term in order]), max_size=3),
    view=st.sampled_from(VIEWS),
    most=st.integers(1, 60),
)
def test_any_search_is_answered_as_mlflow_does(sides: Sides, text: str, order: list[str], view: str, most: int) -> None:
    is_served(sides, {"filter": text, "order_by": order, "view_type": view, "max_results": most})


def test_mlflow_answers_for_a_page_with_an_experiment_without_a_location(sides: Sides) -> None:
    sides.execute(
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time)"
        " VALUES (500, 'no location', NULL, 'active', 5000), (501, 'no stage', 'x:/y', NULL, 5001)"
    )
    assert not is_served(sides, {})
    assert is_served(sides, {"filter": "name = 'no stage'"})
    assert is_served(sides, {"filter": "name != 'no location'"})
    sides.execute("DELETE FROM experiments WHERE experiment_id IN (500, 501)")
