"""The comparison of traces finds faults: each is planted in a statement or a function, and must be seen."""

from __future__ import annotations

from types import ModuleType

import pytest

from mlflow_postgres.rest import exported_traces, span_writes, trace_columns, trace_searches, trace_tags, traces

from .sides import Request, Sides
from .test_rest_exports import MODEL, SPANS, USAGE, a_span, export, start

V3 = "/api/3.0/mlflow/traces"
FIRST, SECOND, STARTED = 1, 2, 3


def use(sides: Sides) -> None:
    """Each call, and a look at all rows."""
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "1"}}
    sums = {"mlflow.trace.tokenUsage": '{"input_tokens": 1}', "mlflow.trace.session": "own"}
    sides.ask(start(STARTED, trace_metadata=sums, request_preview="own", execution_duration="0.5s"))
    sides.ask(export(SPANS["model"](FIRST), SPANS["retriever"](SECOND), resource={"host": "h"}))
    sides.ask(export(*(SPANS[name](FIRST) for name in ("below summed", "summed", "session"))))
    sides.ask(export(SPANS["root"](FIRST), SPANS["tagged"](SECOND), SPANS["cost"](SECOND)))
    # Sent again: the sums are over what is stored.
    sides.ask(export(a_span(FIRST, 2, 1, MODEL | USAGE | {"gen_ai.request.model": "gpt-4o-mini"})))
    sides.ask(export(SPANS["other session"](FIRST), SPANS["model"](STARTED), SPANS["root"](STARTED)))
    for table, most in (("trace_tags", 4_096), ("trace_request_metadata", 250)):
        for key, value in (("long", f"repeat('b', {most + 1})"), ("nothing", "NULL")):
            sides.execute(
                f"INSERT INTO {table} (key, value, request_id) SELECT '{key}', {value}, request_id FROM trace_info"
            )
    ids = [f"tr-{number:032x}" for number in (SECOND, FIRST, STARTED)]
    for trace_id in ids:
        sides.ask(Request("PATCH", f"{V3}/{trace_id}/tags", {"key": "k", "value": "1"}))
        sides.ask(Request("PATCH", f"{V3}/{trace_id}/tags", {"key": "k", "value": "2"}))
        sides.ask(Request("GET", f"{V3}/{trace_id}"))
        sides.ask(Request("GET", f"{V3}/get", query={"trace_id": trace_id}))
    sides.ask(Request("DELETE", f"{V3}/{ids[0]}/tags", {"key": "k"}))
    sides.ask(Request("GET", f"{V3}/batchGet", query=[("trace_ids", each) for each in ids]))
    sides.ask(Request("POST", f"{V3}/batchGetInfos", {"trace_ids": ids[::-1]}))
    for body in ({}, {"max_results": 1}, {"filter": "tags.k = '2'"}, {"order_by": ["execution_time DESC"]}):
        sides.ask(Request("POST", f"{V3}/search", {"locations": [place]} | body))
    sides.compare_rows()


@pytest.fixture
def clean(sides: Sides) -> Sides:
    sides.execute("TRUNCATE trace_info CASCADE")
    return sides


def test_without_a_fault_there_is_no_difference(clean: Sides) -> None:
    use(clean)


@pytest.mark.parametrize(
    ("module", "name", "right", "wrong"),
    [
        (span_writes, "_WRITE", "least(timestamp_ms, first) END", "first END"),
        (span_writes, "_WRITE", "CASE WHEN is_final THEN timestamp_ms", "CASE WHEN FALSE THEN timestamp_ms"),
        (
            span_writes,
            "_WRITE",
            "coalesce(trace.session_id, new.session_id)",
            "coalesce(new.session_id, trace.session_id)",
        ),
        (span_writes, "_WRITE", "coalesce(trace.request_preview, new.", "coalesce(new.request_preview, new."),
        (span_writes, "_WRITE", "db_payload_generation + 1", "db_payload_generation"),
        (span_writes, "_WRITE", "coalesce(old.experiment_id, place.experiment_id)", "place.experiment_id"),
        (span_writes, "_WRITE", "new.is_final AND (trace.input_tokens", "FALSE AND (trace.input_tokens"),
        (span_writes, "_WRITE", "model_name = excluded.model_name, ", ""),
        (span_writes, "_STORED", "span.parent_span_id,", "NULL::text,"),
        (trace_columns, "COLUMNS", "left(trace.session_id, 250)", "left(trace.trace_name, 250)"),
        (trace_columns, "COLUMNS", "> 250 THEN left(value, 250)", "> 250 THEN left(value, 249)"),
        (trace_columns, "COLUMNS", "> 4096 THEN", "> 4097 THEN"),
        (trace_columns, "COLUMNS", "ELSE coalesce(value, 'None')", "ELSE value"),
        (trace_searches, "_SEARCH", "ORDER BY {order}", "ORDER BY request_id"),
        (traces, "_BATCH_GET_INFOS", "ORDER BY asked.place", "ORDER BY asked.place DESC"),
        (traces, "_GET", "parent_span_id IS NOT NULL, ", "parent_span_id IS NULL, "),
        (trace_tags, "_SET", "SET value = excluded.value", "SET value = trace_tags.value"),
    ],
)
def test_a_fault_in_a_statement(
    clean: Sides, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, right: str, wrong: str
) -> None:
    statement = getattr(module, name)
    assert right in statement
    monkeypatch.setattr(module, name, statement.replace(right, wrong))
    if name == "COLUMNS":
        for read in ("_GET", "_GET_INFO", "_BATCH_GET", "_BATCH_GET_INFOS"):
            monkeypatch.setattr(traces, read, getattr(traces, read).replace(right, wrong))
    with pytest.raises(AssertionError):
        use(clean)


@pytest.mark.parametrize(
    "name", ["_state", "_tags_of_resource", "_tags_of_attributes", "_preview", "_nodes", "_dimension"]
)
def test_a_fault_in_a_function(clean: Sides, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    empty: dict[str, object] = {"_nodes": [], "_tags_of_resource": {}, "_tags_of_attributes": {}}
    monkeypatch.setattr(exported_traces, name, lambda *_: empty.get(name))
    with pytest.raises(AssertionError):
        use(clean)
