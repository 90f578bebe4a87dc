"""Datasets: logged as inputs of runs, read with them, and searched."""

from __future__ import annotations

import itertools
import random
import uuid
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .sides import Request, Sides

RUNS = "/api/2.0/mlflow/runs"
SEARCH = "/ajax-api/2.0/mlflow/experiments/search-datasets"
# Without the ids, which the two make up in their own ways if there are several.
LINKS = """
SELECT experiment_id, dataset.name, digest, dataset_source_type, dataset_source, dataset_schema, dataset_profile,
       source_type, destination_type, destination_id, step, tag.name, tag.value
  FROM datasets AS dataset FULL JOIN inputs ON source_id = dataset_uuid FULL JOIN input_tags AS tag USING (input_uuid)
"""


def new(sides: Sides, experiment_id: str = "0") -> str:
    """Id of a new run."""
    body = {"experiment_id": experiment_id, "start_time": 5, "run_name": "run"}
    run_id: str = sides.ask(Request("POST", f"{RUNS}/create", body)).body["run"]["info"]["run_id"]
    return run_id


def log(run_id: str, *datasets: Any, **more: Any) -> Request:
    return Request("POST", f"{RUNS}/log-inputs", {"run_id": run_id, "datasets": list(datasets)} | more)


def dataset(name: Any = "d", digest: Any = "1", tags: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"dataset": {"name": name, "digest": digest, "source_type": "s", "source": "{}"} | more}
    return found | ({} if tags is None else {"tags": [{"key": key, "value": value} for key, value in tags.items()]})


def is_served_with_many_ids(sides: Sides, request: Request) -> bool:
    """The same as `Sides.is_served`, with a new id each time that one is made up."""
    ids = (uuid.UUID(int=number, version=4) for number in itertools.count(random.getrandbits(100)))
    with (
        mock.patch("server.tests.rest.sides._made_up", mock.MagicMock()),
        mock.patch.object(uuid, "uuid4", side_effect=ids),
    ):
        return sides.is_served(request)


def compare_links(sides: Sides) -> None:
    given, expected = (
        sorted(map(repr, side._connection.execute(LINKS).fetchall())) for side in (sides.ours, sides.mlflow)
    )
    assert given == expected


ONE: list[dict[str, Any]] = [
    dataset(),
    dataset(tags={}),
    dataset(tags={"mlflow.data.context": "training"}),
    dataset(tags={"mlflow.data.context": "eval", "": "", 'other "é': "'%"}),
    dataset("", "", source_type="", source=""),
    dataset("n" * 500, "d" * 36, {"k" * 255: "v" * 500}, source_type="t" * 36, source="s" * 65_535),
    dataset("名前 😀 \" \\ { } , ' \n NULL", "NULL", schema="NULL", profile="null"),
    dataset(schema="", profile=""),
    dataset(schema=None, profile=None),
    dataset(schema='{"a": 1}', profile="p" * 100_000),
    dataset(schema="x" * 1_000),
]


@pytest.mark.parametrize("each", ONE, ids=range(len(ONE)))
def test_a_dataset_is_logged_as_mlflow_does(sides: Sides, each: dict[str, Any]) -> None:
    sides.execute("TRUNCATE datasets, inputs, input_tags")
    run_id, other = new(sides), new(sides)
    for asked in (run_id, run_id, other):
        assert sides.is_served(log(asked, each))
        sides.compare_rows()
    assert sides.is_served(log(run_id, each | {"tags": [{"key": "new", "value": "1"}]})), "its tags stay"
    assert sides.is_served(Request("GET", f"{RUNS}/get", query={"run_id": run_id}))
    sides.ask(Request("POST", SEARCH, {"experiment_ids": ["0", "1"]}))
    sides.compare_rows()


def test_no_datasets(sides: Sides) -> None:
    run_id = new(sides)
    assert sides.is_served(log(run_id))
    for body in ({"run_id": run_id}, {"run_id": run_id, "models": []}, {"run_id": run_id, "datasets": None}):
        assert not sides.is_served(Request("POST", f"{RUNS}/log-inputs", body))
    sides.compare_rows()


NOT_PLAIN: list[Any] = [
    *({"tags": []}, {}, None, 5, {"dataset": None}, {"dataset": {}}, {"dataset": {"name": "a"}}),
    *(dataset(name=each) for each in (None, 5, "n" * 501, "a\0b")),
    *(dataset(digest=each) for each in (None, 5, "d" * 37)),
    dataset(source_type=None),
    dataset(source=None),
    dataset(source={}),
    dataset(source="s" * 65_536),
    *(dataset(schema=each) for each in [5, "s" * 1_048_576]),
    *(dataset(profile=each) for each in [5, "s" * 16_777_217]),
    *(dataset(more=each) for each in [None, "x"]),
    dataset(tags={"k" * 256: "v"}),
    dataset(tags={"k": "v" * 501}),
    dataset() | {"tags": [{"key": "k"}]},
    dataset() | {"tags": [{"value": "v"}]},
    dataset() | {"tags": [{"key": "k", "value": 5}]},
    dataset() | {"tags": [{"key": "k", "value": "1"}, {"key": "k", "value": "2"}]},
    dataset() | {"tags": {"key": "k"}},
    dataset() | {"context": "k"},
]


def test_mlflow_answers_for_what_is_not_plain(sides: Sides) -> None:
    run_id = new(sides)
    for number, each in enumerate(NOT_PLAIN):
        assert not sides.is_served(log(run_id, each)), number
        sides.compare_rows()
    for other in ("", "nowhere", None, run_id + "\n"):
        assert not sides.is_served(Request("POST", f"{RUNS}/log-inputs", {"run_id": other, "datasets": [dataset()]}))
    assert not sides.is_served(log(run_id, dataset(), models=[{"model_id": "m-1"}]))
    sides.compare_rows()


def test_nothing_is_logged_to_a_deleted_run(sides: Sides) -> None:
    run_id = new(sides)
    sides.ask(Request("POST", f"{RUNS}/delete", {"run_id": run_id}))
    assert not sides.is_served(log(run_id, dataset("of a deleted run")))
    sides.compare_rows()


names = st.sampled_from(["a", "b", "名前", ""])
tags = st.dictionaries(
    st.sampled_from(["mlflow.data.context", "t", "u"]), st.sampled_from(["", "train", "é"]), max_size=3
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    logged=st.lists(
        st.tuples(st.integers(0, 2), st.lists(st.tuples(names, names, tags, names), min_size=1, max_size=5)), max_size=4
    )
)
def test_any_datasets_are_logged_as_mlflow_does(
    sides: Sides, logged: list[tuple[int, list[tuple[str, str, dict[str, str], str]]]]
) -> None:
    sides.execute("TRUNCATE datasets, inputs, input_tags")
    run_ids = [new(sides), new(sides), new(sides, "1")]
    for number, datasets in logged:
        asked = [dataset(name, digest, of, source=source) for name, digest, of, source in datasets]
        assert is_served_with_many_ids(sides, log(run_ids[number], *asked))
        compare_links(sides)
    for run_id in run_ids:
        sides.ask(Request("GET", f"{RUNS}/get", query={"run_id": run_id}))
    assert sides.is_served(Request("POST", SEARCH, {"experiment_ids": ["1", "0"]}))


@pytest.fixture
def searched(sides: Sides) -> None:
    """Runs with several datasets, and one without."""
    sides.execute("TRUNCATE datasets, inputs, input_tags")
    run_ids = [new(sides) for _ in range(5)]
    for run_id, datasets in zip(
        run_ids,
        [
            [dataset("a", "1", {"mlflow.data.context": "train"}), dataset("b", "2", {"mlflow.data.context": "eval"})],
            [dataset("a", "1", {"mlflow.data.context": "eval", "t": "train"})],
            [dataset("A%", "_", {"t": "train"}), dataset("b", "1"), dataset("c", "3", {"mlflow.data.context": ""})],
            [dataset("a", "2", {"mlflow.data.context": "train"}), dataset("a", "1", {"mlflow.data.context": "train"})],
        ],
        strict=False,
    ):
        assert is_served_with_many_ids(sides, log(run_id, *datasets))
    # A dataset that is the source of something else has a destination as well.
    sides.execute(
        "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id)"
        f" SELECT 'other', 'OTHER', dataset_uuid, 'OTHER', '{run_ids[4]}' FROM datasets WHERE name = 'c'"
    )


VALUES = {
    "name": [
        "= 'a'",
        "!= 'a'",
        "= 'A%'",
        "LIKE 'a%'",
        "ILIKE 'A%'",
        "IN ('a', 'c')",
        "NOT IN ('a')",
        "in ('b')",
        "= ''",
    ],
    "digest": ["= '1'", "!= '1'", "LIKE '_'", "ILIKE '%'", "IN ('2')", "NOT IN ('1', '2')", "like '1'"],
    "context": ["= 'train'", "!= 'train'", "LIKE 't%'", "ILIKE 'T%'", "IN ('eval', 'x')", "NOT IN ('eval')", "= ''"],
}
FILTERS = [f"dataset.{key} {each}" for key, found in VALUES.items() for each in found] + [
    "datasets.name = 'a'",
    'dataset.`name` = "a"',
    "dataset.name = 'a' AND dataset.digest = '2'",
    "dataset.name = 'a' AND dataset.context = 'eval' AND attributes.status = 'RUNNING'",
    "dataset.name = 'a' AND tags.`mlflow.runName` = 'run'",
    "dataset.name = '%s' AND dataset.name LIKE '%(x)s{0}'",
]
REJECTED = [
    *("dataset.nothing = 'a'", "dataset.name > 'a'", "dataset.name = 5", "dataset.name = a", "dataset.name IS NULL"),
    *("dataset.context IS NOT NULL", "dataset.name IN ()", "dataset.name LIKE 'a\\'", "dataset.name RLIKE 'a'"),
]


@pytest.mark.usefixtures("searched")
def test_runs_are_found_by_their_datasets(sides: Sides) -> None:
    found = set()
    for text in FILTERS:
        for order in ([], ["start_time ASC"], ["metrics.m"], ["tags.`mlflow.runName`", "run_id"]):
            for most in (1, 2, 100):
                body = {"experiment_ids": ["0"], "filter": text, "order_by": order, "max_results": most}
                request = Request("POST", f"{RUNS}/search", body)
                assert sides.is_served(request), text
        runs = sides.ask(request).body.get("runs", [])
        found.add(frozenset(run["info"]["run_id"] for run in runs))
    assert len(found) > 7
    for text in REJECTED:
        assert not sides.is_served(Request("POST", f"{RUNS}/search", {"experiment_ids": ["0"], "filter": text})), text


@pytest.mark.parametrize(
    ("is_plain", "body"),
    [
        (True, {"experiment_ids": ["0"]}),
        (True, {"experiment_ids": ["1", "0", "0", "999"]}),
        (True, {"experiment_ids": ["999"]}),
        (True, {"experiment_ids": ["0"] * 20}),
        (False, {"experiment_ids": ["0"] * 21}),
        (False, {"experiment_ids": []}),
        (False, {"experiment_ids": ["x"]}),
        (False, {"experiment_ids": [0]}),
        (False, {"experiment_ids": "0"}),
        (False, {"experiment_ids": ["0"], "max_results": 5}),
        (False, {"experimentIds": ["0"]}),
        (False, {}),
        (False, ""),
        (False, []),
    ],
)
@pytest.mark.usefixtures("searched")
def test_datasets_are_searched_as_mlflow_does(sides: Sides, is_plain: bool, body: Any) -> None:
    assert sides.is_served(Request("POST", SEARCH, body)) == is_plain
    assert not sides.is_served(Request("POST", SEARCH.replace("/ajax-api/", "/api/"), body))
