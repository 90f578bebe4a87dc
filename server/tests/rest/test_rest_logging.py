"""What a run logs: log-batch, log-metric, log-parameter, set-tag and delete-tag, and the history of a metric."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .sides import Request, Sides

RUNS = "/api/2.0/mlflow/runs"
HISTORY = "/api/2.0/mlflow/metrics/get-history"


def post(call: str, body: Any) -> Request:
    return Request("POST", f"{RUNS}/{call}", body)


def history(**query: Any) -> Request:
    return Request("GET", HISTORY, query=query)


def new(sides: Sides) -> str:
    """Id of a new run."""
    body = {"experiment_id": "0", "start_time": 5, "run_name": "run"}
    run_id: str = sides.ask(post("create", body)).body["run"]["info"]["run_id"]
    return run_id


def read(sides: Sides, run_id: str) -> None:
    assert sides.is_served(Request("GET", f"{RUNS}/get", query={"run_id": run_id}))


def metric(key: str = "m", value: Any = 0.5, timestamp: Any = 7, step: Any = 3, **more: Any) -> dict[str, Any]:
    return {"key": key, "value": value, "timestamp": timestamp, "step": step, **more}


VALUES: list[Any] = [
    0.0,
    -0.0,
    0,
    1,
    -1,
    0.1,
    1.5,
    1e300,
    -1e300,
    5e-324,
    1.7976931348623157e308,
    2**53 + 1,
    2**63,
    10**40,
    1e15,
    1e16,
]
VALUES += [123456789.123456789, 1 / 3, -2.5e-10, "NaN", "Infinity", "-Infinity"]
KEYS = [
    "m",
    "a\n",
    "a/b",
    "a b",
    "a.b",
    "a-b",
    "a:b",
    "_",
    "名前",
    "ü",
    "k" * 250,
    "a" * 100 + "/" + "b" * 149,
    "0",
    "a..b",
    "-",
]
BAD_KEYS: list[Any] = [
    "",
    "..a",
    "a//b",
    "/a",
    "a/",
    "..",
    ".",
    "../a",
    "a/../b",
    "a,b",
    "a'b",
    'a"b',
    "a\tb",
    "k" * 251,
    "😀",
    None,
    5,
    "a\0b",
]
TEXTS = [
    "",
    "v",
    "名前 😀",
    '"',
    "\\",
    "{}",
    "'",
    "a\nb\tc\r\b\f\x01\x7f",
    "\u2028",
    "e\u0301",
    "null",
    ',"value":null}',
    "%s %(x)s",
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_metrics_value_is_stored_and_read_as_mlflow_does(sides: Sides, value: Any) -> None:
    run_id = new(sides)
    assert sides.is_served(post("log-metric", {"run_id": run_id, **metric(value=value)}))
    assert sides.is_served(post("log-batch", {"run_id": run_id, "metrics": [metric("in a batch", value)]}))
    read(sides, run_id)
    for key in ("m", "in a batch"):
        assert sides.is_served(history(run_id=run_id, metric_key=key))
    sides.compare_rows()


@pytest.mark.parametrize("value", [None, "", "1", "nan", "inf", "Inf", True, [], {}, "1e5", 10**400])
def test_mlflow_takes_or_refuses_another_value(sides: Sides, value: Any) -> None:
    run_id = new(sides)
    assert not sides.is_served(post("log-metric", {"run_id": run_id, **metric(value=value)}))
    assert not sides.is_served(post("log-batch", {"run_id": run_id, "metrics": [metric(), metric("n", value)]}))
    sides.compare_rows()


@pytest.mark.parametrize("field", ["step", "timestamp"])
@pytest.mark.parametrize("value", [0, 1, 2**31, 2**63 - 1, -1, -(2**63), None, 2**63, 1.0, 1.5, "5", True, "", "x"])
def test_steps_and_timestamps_are_stored_as_mlflow_does(sides: Sides, field: str, value: Any) -> None:
    run_id = new(sides)
    is_plain = type(value) is int and (value >= 0 if field == "timestamp" else True) and value < 2**63
    assert sides.is_served(post("log-metric", {"run_id": run_id, **metric(**{field: value})})) == is_plain
    batch = {"run_id": run_id, "metrics": [metric("n", **{field: value}), metric("o")]}
    assert sides.is_served(post("log-batch", batch)) == is_plain
    read(sides, run_id)
    sides.compare_rows()


@pytest.mark.parametrize("key", [*KEYS, *BAD_KEYS], ids=repr)
def test_names_are_taken_or_refused_as_mlflow_does(sides: Sides, key: Any) -> None:
    run_id = new(sides)
    is_plain = key in KEYS
    assert sides.is_served(post("log-metric", {"run_id": run_id, **metric(key)})) == is_plain
    assert sides.is_served(post("log-parameter", {"run_id": run_id, "key": key, "value": "v"})) == is_plain
    assert sides.is_served(post("set-tag", {"run_id": run_id, "key": key, "value": "v"})) == is_plain
    for kind, entry in (("metrics", metric(key, 7.5)), ("params", {"key": key}), ("tags", {"key": key})):
        # The parameter has another value by then.
        expected = is_plain and kind != "params"
        assert sides.is_served(post("log-batch", {"run_id": run_id, kind: [entry]})) == expected
    read(sides, run_id)
    sides.compare_rows()
    assert sides.is_served(post("delete-tag", {"run_id": run_id, "key": key})) == is_plain
    sides.compare_rows()


@pytest.mark.parametrize("text", [*TEXTS, "p" * 6000, "😀" * 6000], ids=range(len(TEXTS) + 2))
def test_texts_are_stored_and_read_as_mlflow_does(sides: Sides, text: str) -> None:
    run_id = new(sides)
    for value in (text, text):
        assert sides.is_served(post("log-parameter", {"run_id": run_id, "key": "p", "value": value}))
        assert sides.is_served(post("set-tag", {"run_id": run_id, "key": "t", "value": value}))
        batch = {"run_id": run_id, "params": [{"key": "q", "value": value}], "tags": [{"key": "u", "value": value}]}
        assert sides.is_served(post("log-batch", batch))
    read(sides, run_id)
    sides.compare_rows()


@pytest.mark.parametrize("text", ["p" * 8001, "a\0b", None, 5])
def test_mlflow_cuts_or_refuses_other_texts(sides: Sides, text: Any) -> None:
    run_id = new(sides)
    assert not sides.is_served(post("log-parameter", {"run_id": run_id, "key": "p", "value": text}))
    assert not sides.is_served(post("set-tag", {"run_id": run_id, "key": "t", "value": text}))
    read(sides, run_id)
    sides.compare_rows()


def test_a_parameter_keeps_its_value(sides: Sides) -> None:
    run_id = new(sides)
    first = {"run_id": run_id, "params": [{"key": "p", "value": "1"}, {"key": "q", "value": ""}]}
    assert sides.is_served(post("log-batch", first))
    assert sides.is_served(post("log-batch", first))
    other = {
        "run_id": run_id,
        "params": [{"key": "new", "value": "3"}, {"key": "p", "value": "2"}],
        "metrics": [metric()],
    }
    assert not sides.is_served(post("log-batch", other))
    assert not sides.is_served(post("log-parameter", {"run_id": run_id, "key": "p", "value": "2"}))
    more = {"run_id": run_id, "params": [*first["params"], {"key": "r", "value": "1"}]}
    assert sides.is_served(post("log-batch", more))
    sides.compare_rows()


ODD_BATCHES: list[tuple[bool, dict[str, Any]]] = [
    (True, {}),
    (True, {"metrics": [], "params": [], "tags": []}),
    (True, {"metrics": [metric(), metric(), metric(value=0.25), metric(step=9), metric(timestamp=1)]}),
    (True, {"metrics": [metric(value=0.0), metric(value=-0.0), metric("n", -0.0), metric("n", 0.0)]}),
    (True, {"metrics": [metric(value="NaN"), metric(value="NaN"), metric(value=0.0), metric(value=0)]}),
    (True, {"metrics": [metric(value="Infinity"), metric(value=1.7976931348623157e308), metric(value="-Infinity")]}),
    (True, {"metrics": [metric(run_id="whatever"), metric(run_id="")]}),
    (True, {"metrics": [{"key": "m", "value": 1, "timestamp": 1}]}),
    (True, {"metrics": [metric(f"m{number}", number) for number in range(1000)]}),
    (True, {"params": [{"key": f"p{number}"} for number in range(100)]}),
    (True, {"tags": [{"key": f"t{number}"} for number in range(100)]}),
    (True, {"tags": [{"key": "t", "value": "1"}, {"key": "u"}, {"key": "t", "value": "2"}]}),
    (False, {"metrics": [metric(f"m{number}", number) for number in range(1001)]}),
    (
        False,
        {
            "metrics": [metric(f"m{number}", number) for number in range(901)],
            "tags": [{"key": f"t{number}"} for number in range(100)],
        },
    ),
    (False, {"params": [{"key": f"p{number}"} for number in range(101)]}),
    (False, {"tags": [{"key": f"t{number}"} for number in range(101)]}),
    (False, {"params": [{"key": "p", "value": "1"}, {"key": "p", "value": "1"}]}),
    (False, {"tags": [{"key": "mlflow.runName", "value": "renamed"}]}),
    (False, {"tags": [{"key": "mlflow.runName", "value": ""}, {"key": "t"}]}),
    (False, {"metrics": [metric(model_id="m-1")]}),
    (False, {"metrics": [metric(dataset_name="d", dataset_digest="x")]}),
    (False, {"metrics": [{"value": 1, "timestamp": 1}]}),
    (False, {"metrics": [{"key": "m", "timestamp": 1}]}),
    (False, {"metrics": [{"key": "m", "value": 1}]}),
    (False, {"metrics": None}),
    (False, {"metrics": {}}),
    (False, {"metrics": [None]}),
    (False, {"metrics": [[]]}),
    (False, {"metrics": "x"}),
    (False, {"params": [{"value": "1"}]}),
    (False, {"tags": [{"value": "1"}]}),
    (False, {"datasets": []}),
    (False, {"run_uuid": "x"}),
]


@pytest.mark.parametrize(("is_plain", "batch"), ODD_BATCHES, ids=range(len(ODD_BATCHES)))
def test_odd_batches_leave_the_rows_that_mlflow_leaves(sides: Sides, is_plain: bool, batch: dict[str, Any]) -> None:
    run_id = new(sides)
    for _ in range(2):
        assert sides.is_served(post("log-batch", {"run_id": run_id} | batch)) == is_plain
        sides.compare_rows()
    read(sides, run_id)


def test_a_tag_is_overwritten_and_deleted_as_mlflow_does(sides: Sides) -> None:
    run_id = new(sides)
    for value in ("1", "2", "", "2"):
        assert sides.is_served(post("set-tag", {"run_id": run_id, "run_uuid": run_id, "key": "t", "value": value}))
    assert sides.is_served(post("set-tag", {"run_id": run_id, "key": "u"}))
    for name in ("renamed", ""):
        assert not sides.is_served(post("set-tag", {"run_id": run_id, "key": "mlflow.runName", "value": name}))
    assert sides.is_served(post("delete-tag", {"run_id": run_id, "key": "t"}))
    assert not sides.is_served(post("delete-tag", {"run_id": run_id, "key": "t"}))
    assert not sides.is_served(post("delete-tag", {"run_id": run_id, "run_uuid": run_id, "key": "u"}))
    sides.execute(f"INSERT INTO tags (run_uuid, key, value) VALUES ('{run_id}', 'a,b', NULL), ('{run_id}', 'c', NULL)")
    read(sides, run_id)
    assert sides.is_served(post("set-tag", {"run_id": run_id, "key": "c", "value": "now"}))
    assert sides.is_served(post("delete-tag", {"run_id": run_id, "key": "a,b"}))
    assert sides.is_served(post("delete-tag", {"run_id": run_id, "key": "mlflow.runName"}))
    sides.compare_rows()
    read(sides, run_id)


def test_nothing_is_logged_to_a_run_that_is_deleted_or_unknown(sides: Sides) -> None:
    deleted = new(sides)
    sides.ask(post("set-tag", {"run_id": deleted, "key": "t", "value": "1"}))
    sides.execute(f"UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = 5 WHERE run_uuid = '{deleted}'")
    for run_id in (deleted, "nowhere", "", "a b", "a" * 33, None):
        for call, body in (
            ("log-metric", metric()),
            ("log-parameter", {"key": "p", "value": "v"}),
            ("set-tag", {"key": "t", "value": "v"}),
            ("delete-tag", {"key": "t"}),
            ("log-batch", {}),
            ("log-batch", {"metrics": [metric()], "params": [{"key": "p"}], "tags": [{"key": "t"}]}),
        ):
            assert not sides.is_served(post(call, {"run_id": run_id} | body))
    sides.compare_rows()


def test_the_history_of_a_metric_comes_in_pages(sides: Sides) -> None:
    run_id = new(sides)
    metrics = [metric(value=number % 7 / 3, step=number % 11, timestamp=number % 5) for number in range(120)]
    metrics += [
        metric(value="NaN", step=-4, timestamp=9),
        metric(value=-0.0, step=-9, timestamp=9),
        metric(value=5, step=-8),
    ]
    assert sides.is_served(post("log-batch", {"run_id": run_id, "metrics": metrics}))
    assert sides.is_served(history(run_id=run_id, run_uuid=run_id, metric_key="m"))
    for most in (1, 7, 100, 122, 123, 124, 2**31 - 1):
        token = ""
        for _ in range(4):
            query = {"run_id": run_id, "metric_key": "m", "max_results": most} | (
                {"page_token": token} if token else {}
            )
            request = history(**query)
            assert sides.is_served(request)
            token = sides.ask(request).body.get("next_page_token", "")
            if not token:
                break
        assert sides.is_served(history(run_id=run_id, metric_key="m", page_token="eyJvZmZzZXQiOiA1fQ=="))
    assert sides.is_served(history(run_id=run_id, metric_key="unknown"))
    assert sides.is_served(history(run_id="unknown", metric_key="m"))
    for more in ({"page_token": ""}, {"max_results": "1"}):
        assert sides.is_served(history(run_id=run_id, metric_key="m", **more))
    for more in (
        *({"max_results": each} for each in ("0", "-1", "x", "", "2147483648", " 5", "true", "1.0", "01")),
        *(
            {"page_token": each}
            for each in ("x", "e30=", "eyJvZmZzZXQiOiAtNX0=", "eyJvZmZzZXQiOiAieCJ9", "W10=", "NQ==", "é")
        ),
        *(
            {"page_token": each}
            for each in ("eyJvZmZzZXQiOiAxZTQwMH0=", "eyJvZmZzZXQiOiBudWxsfQ==", "eyJvZmZzZXQiOiA5OTk5OTk5OTk5OTk5fQ==")
        ),
        {"metric_key": ""},
        {"unknown": "1"},
    ):
        assert not sides.is_served(history(**{"run_id": run_id, "metric_key": "m"} | more)), more


key = st.sampled_from(["m", "n", "a/b", "名前"])
number = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(VALUES), st.integers())
metrics = st.lists(
    st.builds(
        metric,
        key,
        number,
        st.integers(0, 2) | st.integers(0, 2**63 - 1),
        st.integers(-1, 2) | st.integers(-(2**63), 2**63 - 1),
    ),
    max_size=12,
)
text = st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
entries = st.lists(st.builds(lambda key, value: {"key": key, "value": value}, key, text), max_size=4)
batches = st.lists(
    st.fixed_dictionaries({}, optional={"metrics": metrics, "params": entries, "tags": entries}), max_size=4
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=batches)
def test_any_batches_leave_the_rows_that_mlflow_leaves(sides: Sides, batches: list[dict[str, Any]]) -> None:
    run_id = new(sides)
    for batch in batches:
        sides.ask(post("log-batch", {"run_id": run_id} | batch))
    sides.compare_rows()
    read(sides, run_id)
    for name in ("m", "n"):
        sides.ask(history(run_id=run_id, metric_key=name))
    sides.execute(
        *(
            f"DELETE FROM {table} WHERE run_uuid = '{run_id}'"
            for table in ("metrics", "latest_metrics", "params", "tags")
        )
    )


def test_clients_that_log_to_one_run_at_once_all_succeed(sides: Sides) -> None:
    """The same parameters, tags and metrics, in other orders: nobody waits for another for ever, or loses a value."""
    run_id = new(sides)
    names = [f"n{number}" for number in range(12)]
    requests = [
        post(
            "log-batch",
            {
                "run_id": run_id,
                "metrics": [
                    metric(name, value=client, step=client) for name in names[client % 12 :] + names[: client % 12]
                ],
                "params": [{"key": name, "value": "same"} for name in names[client % 7 :] + names[: client % 7]],
                "tags": [{"key": name, "value": str(client)} for name in reversed(names)],
            },
        )
        for client in range(24)
    ]
    statuses = sides.run(sides.ours.ask_at_once(requests))
    assert set(statuses) == {200}
    answer = sides.run(sides.ours.ask(Request("GET", f"{RUNS}/get", query={"run_id": run_id}), 1))
    data = answer.body["run"]["data"]
    assert [each["key"] for each in data["params"]] == sorted(names)
    assert {(each["value"], each["step"]) for each in data["metrics"]} == {("23.0", 23)}
    assert len(data["metrics"]) == 12
    sides.execute(
        *(f"DELETE FROM {t} WHERE run_uuid = '{run_id}'" for t in ("metrics", "latest_metrics", "params", "tags"))
    )


def test_our_application_has_answered_most_of_these(sides: Sides) -> None:
    """It would be right, and of no use, if it gave every call to MLflow."""
    calls = [f"runs/{call}" for call in ("log-batch", "log-metric", "log-parameter", "set-tag", "delete-tag")]
    assert min(sides.served[call] for call in [*calls, "metrics/get-history"]) > 15
    assert sides.served["runs/log-batch"] > sides.handed_on["runs/log-batch"]
