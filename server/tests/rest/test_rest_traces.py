"""Traces: searched, and read with and without spans."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mlflow_postgres.rest import trace_filters, trace_searches

from .odd_traces import FILTERS, NOWHERE, fill_traces, questions
from .sides import Request, Sides

V3 = "/ajax-api/3.0/mlflow/traces"
V2 = "/api/2.0/mlflow/traces"
EXPERIMENT = "1"
TRACE_IDS: list[str] = []
REJECTED = {"tags.t = 42", "nonsense.t = '4'", "tags.t > '4'"}
NOT_SERVED = {*REJECTED, "feedback.good = 'true'", "tags.t RLIKE '^4'", "metadata.t RLIKE '^4'"}
MORE_FILTERS = [
    *("status IN ('OK', 'ERROR')", "status NOT IN ('OK')", "status != 'OK'", "status LIKE '%R%'", "status ILIKE 'ok'"),
    *("client_request_id = '名前'", "client_request_id != 'client'", "request_id LIKE 'tr-%'", "end_time >= 2000"),
    *("timestamp_ms >= 1000 AND timestamp_ms < 1700000000123", "execution_time != 10", "execution_time_ms = 1"),
    *(
        "span.name = '4'",
        "span.status = 'ERROR' AND span.type = 'LLM'",
        "span.type IN ('LLM', 'CHAIN')",
        "trace.text LIKE '%名%'",
    ),
    *("timestamp > 1 AND trace.text ILIKE '%llm%'", "run_id = 'a run'", "metadata.`mlflow.sourceRun` != 'a run'"),
    *("name LIKE 'trace%' AND name != 'trace 3'", "tags.`mlflow.traceName` IS NULL", "name IS NOT NULL"),
    *("metadata.`mlflow.trace.session` IS NULL", "metadata.`mlflow.trace.session` LIKE '%1'", "tags.u != '1'"),
]


def fill(store: Any) -> None:
    TRACE_IDS[:] = fill_traces(store, EXPERIMENT)


def place(experiment: str) -> dict[str, Any]:
    return {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}


PLACES = [place(EXPERIMENT)]


def search(**body: Any) -> Request:
    return Request("POST", f"{V3}/search", {"locations": PLACES} | body)


def get(call: str, query: Any = "") -> Request:
    return Request("GET", f"{V3}/{call}", query=query)


def test_every_question_is_answered_as_mlflow_does(sides: Sides) -> None:
    found = dict.fromkeys(FILTERS, 0)
    for text, order in questions():
        body = {"filter": text, "max_results": 70, "order_by": order}
        request = search(**body)
        is_plain = text not in NOT_SERVED and order != ["nonsense.t"]
        assert sides.is_served(request) == is_plain, (text, order)
        answer = sides.ask(request).body
        found[text] += len(answer.get("traces", ()))
        if token := answer.get("next_page_token"):
            assert sides.is_served(search(**body, page_token=token)) == is_plain
    assert {text for text, count in found.items() if not count} == {*NOWHERE, *REJECTED}


@pytest.mark.parametrize(
    ("is_plain", "body"),
    [
        (True, {"locations": PLACES * 2}),
        (True, {"locations": [place(each) for each in ("1", "2", "999")]}),
        (True, {"max_results": 1}),
        (True, {"max_results": 500}),
        (False, {"max_results": 501}),
        (False, {"max_results": 0}),
        (False, {"max_results": "5"}),
        (False, {"locations": []}),
        (False, {"locations": [{"type": "INFERENCE_TABLE", "inference_table": {"full_table_name": "a.b.c"}}]}),
        (False, {"locations": [place("x")]}),
        (False, {"locations": [place("-1")]}),
        (False, {"unknown": 1}),
        (False, {"page_token": "nonsense"}),
        (False, {"order_by": ["timestamp_ms", "timestamp_ms DESC"]}),
        (False, {"order_by": "timestamp_ms"}),
        (False, {"filter": 5}),
        (False, {"filter": "tags.t = 'a\0b'"}),
        (True, {"order_by": ["execution_time DESC", "status", "request_id"], "max_results": 20}),
        (True, {"order_by": ["experiment_id", "metadata.t DESC", "name"], "max_results": 20}),
        (True, {"order_by": ["metadata.`mlflow.trace.session`", "tags.`mlflow.traceName` DESC"]}),
        (False, {"order_by": ["metadata.`mlflow.trace.cost`"]}),
        (False, {"order_by": ["end_time"]}),
    ],
)
def test_searches(sides: Sides, is_plain: bool, body: dict[str, Any]) -> None:
    assert sides.is_served(search(**body)) == is_plain


def test_every_trace_is_read_as_mlflow_does(sides: Sides) -> None:
    assert len(TRACE_IDS) > 100
    with_spans = 0
    for trace_id in TRACE_IDS:
        assert sides.is_served(get(trace_id))
        assert sides.is_served(get(trace_id, {"trace_id": trace_id}))
        assert sides.is_served(Request("POST", f"{V3}/batchGetInfos", {"trace_ids": [trace_id, TRACE_IDS[0]]}))
        request = get("get", {"trace_id": trace_id, "allow_partial": "true"})
        if not sides.is_served(request):
            continue
        with_spans += 1
        assert sides.is_served(get("get", {"trace_id": trace_id, "allow_partial": "false"}))
    assert with_spans == 48, "the others have no spans"


def test_several_traces_are_read_in_the_order_that_was_asked_for(sides: Sides) -> None:
    ids = [trace_id for number, trace_id in enumerate(TRACE_IDS) if number % 2 and number % 5]
    for asked in (ids, ids[::-1], [*ids[:3], *ids[:2], "tr-unknown"], ["tr-unknown"]):
        assert sides.is_served(get("batchGet", [("trace_ids", each) for each in asked]))
        assert sides.is_served(Request("POST", f"{V3}/batchGetInfos", {"trace_ids": asked}))
    assert not sides.is_served(get("batchGet", [("trace_ids", TRACE_IDS[0])])), "its spans are elsewhere"
    assert not sides.is_served(get("batchGet"))
    assert not sides.is_served(get("batchGet", {"trace_ids": ids[0], "experiment_ids": "1"}))
    assert not sides.is_served(Request("POST", f"{V3}/batchGetInfos", {"trace_ids": []}))


@pytest.mark.parametrize(
    "query",
    [
        *("", "trace_id=", "trace_id=unknown", "trace_id=a&trace_id=b", "trace_id=%00", "allow_partial=true"),
        *("trace_id=unknown&allow_partial=x", "trace_id=unknown&allow_partial=true"),
    ],
)
def test_mlflow_answers_for_other_traces(sides: Sides, query: str) -> None:
    assert not sides.is_served(get("get", query))


def test_a_trace_whose_spans_have_not_all_come(sides: Sides) -> None:
    trace_id = TRACE_IDS[3]
    value = json.dumps({"num_spans": 3})
    for number in (3, 4, "x"):
        value = json.dumps({"num_spans": number})
        sides.execute(
            f"INSERT INTO trace_request_metadata VALUES ('mlflow.trace.sizeStats', '{value}', '{trace_id}')"
            " ON CONFLICT (request_id, key) DO UPDATE SET value = excluded.value"
        )
        assert sides.is_served(get("batchGet", {"trace_ids": trace_id})) == (number != "x")
        assert sides.is_served(get("get", {"trace_id": trace_id, "allow_partial": "true"}))
    sides.execute(f"UPDATE spans SET content = '' WHERE trace_id = '{trace_id}'")
    assert not sides.is_served(get("get", {"trace_id": trace_id, "allow_partial": "true"}))


@pytest.mark.parametrize("contents", ["{", "[]", "1,2", "{}", '{"attributes": null}'])
def test_spans_that_only_another_hand_has_left(sides: Sides, contents: str) -> None:
    trace_id = TRACE_IDS[9]
    sides.execute(f"UPDATE spans SET content = '{contents}' WHERE trace_id = '{trace_id}'")
    assert not sides.is_served(get("get", {"trace_id": trace_id, "allow_partial": "true"}))


@pytest.mark.parametrize(
    "change",
    [
        *("timestamp_ms = -1", "timestamp_ms = 253402300800000", "execution_time_ms = -1", "status = 'DONE'"),
        "execution_time_ms = 400000000000000",
    ],
)
def test_mlflow_answers_for_traces_that_it_writes_otherwise(sides: Sides, change: str) -> None:
    sides.execute(f"UPDATE trace_info SET {change} WHERE request_id = '{TRACE_IDS[5]}'")
    try:
        assert not sides.is_served(get(TRACE_IDS[5]))
    finally:
        sides.execute(
            "UPDATE trace_info SET timestamp_ms = 5, execution_time_ms = NULL, status = 'OK'"
            f" WHERE request_id = '{TRACE_IDS[5]}'"
        )


@example(costs=(4.401525287560494e16, float("nan"), -0.0), tokens=(0, 5, None), time=0, length=None)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    costs=st.tuples(*[st.none() | st.floats(allow_nan=False, allow_infinity=False)] * 3),
    tokens=st.tuples(*[st.none() | st.integers(-(2**63), 2**63 - 1)] * 3),
    time=st.integers(0, 253_402_300_799_999),
    length=st.none() | st.integers(0, 315_575_999_999_999),
)
def test_numbers_are_written_as_mlflow_does(
    sides: Sides, costs: Any, tokens: Any, time: int, length: int | None
) -> None:
    names = ["input_cost", "output_cost", "total_cost", "input_tokens", "output_tokens", "cache_read_input_tokens"]
    names += ["timestamp_ms", "execution_time_ms"]
    values = ["NULL" if each is None else f"'{each!r}'" for each in (*costs, *tokens, time, length)]
    changes = ", ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))
    sides.execute(f"UPDATE trace_info SET {changes} WHERE request_id = '{TRACE_IDS[6]}'")
    assert sides.is_served(get(TRACE_IDS[6]))


def test_filters_of_traces_and_their_spans(sides: Sides) -> None:
    for trace_id, run_id in zip(TRACE_IDS, ("a run", "another"), strict=False):
        sides.execute(f"INSERT INTO trace_request_metadata VALUES ('mlflow.sourceRun', '{run_id}', '{trace_id}')")
    sides.execute(
        "INSERT INTO entity_associations (association_id, source_type, source_id, destination_type, destination_id)"
        f" VALUES ('a-1', 'trace', '{TRACE_IDS[2]}', 'run', 'a run')"
    )
    handed_on, empty = [], []
    for text in MORE_FILTERS:
        request = search(filter=text, max_results=200)
        if not sides.is_served(request):
            handed_on.append(text)
        if not sides.ask(request).body.get("traces"):
            empty.append(text)
    assert (handed_on, empty) == ([], [])


@pytest.mark.parametrize(
    ("index", "text"),
    [
        ("mlflow_postgres_trace_tags_short", "tags.t = '42'"),
        ("mlflow_postgres_trace_metadata_short", "metadata.t = '42'"),
    ],
)
def test_each_index_can_serve_the_search_that_it_is_there_for(sides: Sides, index: str, text: str) -> None:
    found, order = trace_filters.translated(text), trace_filters.ordered(())
    place, values = trace_searches.place([EXPERIMENT])
    values |= {**found.values, "offset": "0", "limit": "5"}
    # The plan must not depend on whether autovacuum has already counted the rows, few as they are.
    sides.execute("ANALYZE trace_info", "ANALYZE trace_tags", "ANALYZE trace_request_metadata")
    plan = sides.ours.plan(trace_searches.statement(found, order, place), values)
    assert index in plan


@pytest.mark.parametrize("path", [f"{V2}/ID/tags", "/api/3.0/mlflow/traces/ID/tags"])
def test_tags(sides: Sides, path: str) -> None:
    def ask(method: str, body: Any, trace_id: str = "") -> bool:
        is_served = sides.is_served(Request(method, path.replace("ID", trace_id or TRACE_IDS[1]), body))
        sides.compare_rows()
        return is_served

    for key, value in {"a": "1", "b c": "名前 😀", "k" * 250: "", "d/e": "x" * 9_000}.items():
        assert ask("PATCH", {"key": key, "value": value})
        assert ask("PATCH", {"key": key, "value": f"again {value}"})
    assert ask("PATCH", {"key": "a"})
    assert ask("DELETE", {"key": "a"})
    assert ask("DELETE", {"key": "mlflow.trace.archivalFailure"}) is False
    for odd in (
        {},
        {"key": ""},
        {"key": "a\0b"},
        {"key": 5},
        {"key": "x", "more": 1},
        {"key": "a", "trace_id": "other"},
    ):
        assert not ask("PATCH", odd)
        assert not ask("DELETE", odd)
    for key in ("mlflow.trace.spansLocation", "mlflow.traceName", "k" * 251, "a//b", "\x01"):
        assert not ask("PATCH", {"key": key, "value": "x"})
    assert not ask("DELETE", {"key": "a"}), "it is gone"
    assert not ask("PATCH", {"key": "a", "value": "1"}, "tr-unknown")
    assert not ask("PATCH", {"key": "a", "value": "1"}, "x" * 51)
