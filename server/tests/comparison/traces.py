"""Run in a process of its own: odd traces, searched through MLflow's own store and then through the faster one."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import sqlalchemy
from mlflow.entities import Expectation, Feedback, Span, TraceInfo, TraceLocation, TraceState
from mlflow.server import app, handlers
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

SEARCH = "/ajax-api/3.0/mlflow/traces/search"
OPEN = "/ajax-api/3.0/mlflow/traces/get"
LETTERS = "".join(random.Random(5).choices("abcdefghij0123456789äß名😀", k=8_000))
KEY = "k" * 249 + "é"
TEXTS = [
    *("42", "4", "", "None", "null", "Ä", "名前", "😀" * 32, "😀" * 33, "b" * 128, "b" * 129, LETTERS[:4_096]),
    *('a"b', "a\\b", "line\nbreak", "\t\b\f\r\x01\x7f", "x'y", "50%", "{}", '"}', "}", "\u2028", "e\u0301"),
]
TIMES = [0, 1, 999, 1_000, 1_700_000_000_000, 1_700_000_000_120, 1_700_000_000_123, 253_402_300_799_999]
LENGTHS = [None, 0, 1, 10, 100, 999, 1_000, 1_234, 60_000, 123_456_789]
COUNT = 120
SERVED = ("SELECT id,", "SELECT 'tags'")
"""What only the faster store says to the database, for a search and for a trace that is opened."""

# The longest that the schema has and what an older version left, which MLflow's own functions do not write.
BY_HAND = (
    "UPDATE trace_tags SET value = NULL WHERE key = 'nothing'",
    f"UPDATE trace_tags SET value = '{LETTERS}' WHERE key = 'long'",
    f"UPDATE trace_request_metadata SET value = '{LETTERS}' WHERE key = 'long'",
    "UPDATE trace_request_metadata SET value = NULL WHERE key = 'nothing'",
    "INSERT INTO trace_tags (key, value, request_id) SELECT 'mlflow.traceName', 'old', request_id FROM trace_info"
    " WHERE trace_name IS NULL",
    "INSERT INTO trace_request_metadata (key, value, request_id) SELECT 'mlflow.trace.session', 'old', request_id"
    " FROM trace_info WHERE session_id IS NULL",
)
FILTERS = [
    *("", "tags.nope = 'x'", "metadata.nope = 'x'", "tags.t = 42", "nonsense.t = '4'", "tags.t > '4'"),
    *(
        f"{kind}.t {compare} '{text}'"
        for kind in ("tags", "metadata")
        for compare in ("=", "!=")
        for text in ("42", "")
    ),
    *(
        f"{kind}.t = '{text}'"
        for kind in ("tags", "metadata")
        for text in ("名前", "😀" * 32, "😀" * 33, "a\\b", "50%")
    ),
    *(f"{kind}.t = '{'b' * count}'" for kind in ("tags", "metadata") for count in (127, 128, 129)),
    *(f"{kind}.t {like}" for kind in ("tags", "metadata") for like in ("LIKE '4%'", "ILIKE 'ä'", "RLIKE '^4'")),
    *(f"{kind}.long = '{LETTERS}'" for kind in ("tags", "metadata")),
    *("tags.t IS NULL", "metadata.nothing IS NOT NULL", f"tags.`{KEY}` = '42'", f"metadata.`{KEY}` = '42'"),
    *("tags.t = '42' AND metadata.t = '4'", "tags.t = '42' AND tags.u = '1'", "status = 'ERROR'"),
    *("name = 'trace 3'", "metadata.`mlflow.trace.session` = 'session 1'", "feedback.good = 'true'"),
    *("execution_time > 100", "timestamp > 1000", "metadata.`mlflow.trace.session` = 'old'"),
]
NOWHERE = ["tags.nope = 'x'", "metadata.nope = 'x'", "metadata.`mlflow.trace.session` = 'old'"]
NOWHERE += [f"{kind}.t = '{'b' * 127}'" for kind in ("tags", "metadata")]
"""Filters that nothing fits."""
ORDERS = [[], ["timestamp_ms DESC"], ["timestamp_ms ASC", "execution_time DESC"], ["tags.t DESC"], ["nonsense.t"]]
PLANS = {
    "mlflow_postgres_trace_tags_short": "tags.t = '42'",
    "mlflow_postgres_trace_metadata_short": "metadata.t = '42'",
}
"""The filter that each index is there for."""

statements: list[tuple[str, Any]] = []
"""What the database has been asked, with its parameters."""


def main(address: str) -> dict[str, Any]:
    """How many traces each question found, those that differ, and how the database was asked."""
    make: Any = SqlAlchemyStore
    plain = make(address, "mlflow-artifacts:/")
    experiment = plain.create_experiment("odd traces")
    trace_ids = [*fill(plain, experiment), "nowhere"]
    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", lambda *it: statements.append((it[2], it[3])))
    expected, opened = served(plain, experiment), [open_trace(plain, each) for each in trace_ids]
    plainly = " ".join(text for text, _ in statements)
    statements.clear()

    from mlflow_postgres.database import store

    ours = store.tracking_store(address, "mlflow-artifacts:/")
    given, opened_faster = served(ours, experiment), [open_trace(ours, each) for each in trace_ids]
    asked = " ".join(text for text, _ in statements)
    from mlflow_postgres.database.trace_reads import _reading
    from mlflow_postgres.database.trace_search import _wanted

    found: dict[str, int] = {}
    for (text, _), (status, answer) in zip(questions(), expected, strict=True):
        if status == 200:
            found[text] = found.get(text, 0) + len(answer.get("traces", ()))
    return {
        "nowhere": NOWHERE,
        "found": found,
        "refused": sum(status != 200 for status, _ in expected),
        "assessed": sum("assessments" in trace for _, answer in expected for trace in answer.get("traces", ())),
        "differing": [
            (question, shortened(mlflows), shortened(own))
            for question, mlflows, own in zip(questions(), expected, given, strict=True)
            if mlflows != own
        ]
        + [pair for pair in zip(opened, opened_faster, strict=True) if pair[0] != pair[1]],
        "spans": sum(len(answer["trace"].get("spans", ())) for status, answer in opened if status == 200),
        "left_behind": _wanted.get() or _reading.get(),
        "plainly": [sign in plainly for sign in SERVED],
        "served": [asked.count(sign) for sign in SERVED],
        "answered": [
            sum("traces" in page for _, answer in expected for page in (answer, answer.get("more", ()))),
            # All but the one that is not there; one without a span is read, and then refused.
            len(trace_ids) - 1,
        ],
        "plans": {index: plan(ours, text, experiment) for index, text in PLANS.items()},
    }


def questions() -> list[tuple[str, list[str]]]:
    """Each filter in two orders, so that filters of each kind meet each order."""
    return [(text, ORDERS[(number + more) % len(ORDERS)]) for more in (0, 2) for number, text in enumerate(FILTERS)]


def fill(store: Any, experiment: str) -> list[str]:
    """Make the traces; their ids."""
    chance = random.Random(3)
    made = []
    for number in range(COUNT):
        trace_id = f"tr-{chance.getrandbits(128):032x}"
        made.append(trace_id)
        tags = {"t": TEXTS[number % len(TEXTS)], "u": str(number % 3), "nothing": "soon", KEY: TEXTS[number % 5]}
        metadata = {"t": TEXTS[(number * 2 + 1) % len(TEXTS)], "nothing": "soon", KEY: TEXTS[number % 4]}
        if number % 7 == 0:
            tags = metadata = {}
        if number % 9 == 1:
            tags, metadata = {"long": "soon", **tags}, {"long": "soon", **metadata}
        if number % 4:
            tags = {**tags, "mlflow.traceName": f"trace {number % 6}"}
        if number % 5 > 1:
            metadata = {**metadata, "mlflow.trace.session": f"session {number % 8}"}
        if number % 5 > 2:
            metadata["mlflow.trace.tokenUsage"] = json.dumps(
                {"input_tokens": number, "output_tokens": 5, "total_tokens": 9}
            )
            metadata["mlflow.trace.cost"] = json.dumps({"input_cost": 0.1 * number, "total_cost": 1e-9})
        store.start_trace(
            TraceInfo(
                trace_id=trace_id,
                trace_location=TraceLocation.from_experiment_id(experiment),
                request_time=TIMES[number % len(TIMES)],
                execution_duration=LENGTHS[number % len(LENGTHS)],
                state=list(TraceState)[number % 4],
                request_preview=[None, "", *TEXTS[:10]][number % 12],
                response_preview=[None, "", *TEXTS[12:]][number % 13],
                client_request_id=[None, "", "client", "名前"][number % 4],
                tags=tags,
                trace_metadata=metadata,
            )
        )
        if number % 2:
            store.log_spans(experiment, [a_span(trace_id, place) for place in range(number % 5)])
        if number % 3 == 0:
            for assessment in assessments(trace_id, number):
                store.create_assessment(assessment)
    with store.engine.begin() as connection:
        for statement in BY_HAND:
            connection.exec_driver_sql(statement)
    return made


def a_span(trace_id: str, place: int) -> Any:
    attributes = {"mlflow.traceRequestId": trace_id, "mlflow.spanType": "LLM", "名前": [1, 0.5, None, {"a": "😀"}]}
    start = 1_700_000_000_000_000_001 + place
    return Span.from_dict(
        {
            "trace_id": encoded(trace_id.removeprefix("tr-")),
            "span_id": encoded(f"{place + 1:016x}"),
            "parent_span_id": encoded(f"{1:016x}") if place else None,
            "name": TEXTS[place],
            "start_time_unix_nano": start,
            "end_time_unix_nano": start + 5,
            "events": [{"name": "e", "time_unix_nano": start, "attributes": {"a": "b"}}] * (place % 2),
            "status": {"code": ["STATUS_CODE_OK", "STATUS_CODE_ERROR", "STATUS_CODE_UNSET"][place % 3], "message": "m"},
            "attributes": {key: json.dumps(value) for key, value in attributes.items()},
            "links": [],
        }
    )


def encoded(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()


def assessments(trace_id: str, number: int) -> list[Any]:
    value: Any = [True, 0.5, 7, "yes", [1, "a"], {"k": "名前"}][number // 3 % 6]
    return [
        Feedback("good", value, trace_id=trace_id, rationale="because 😀", metadata={"m": 'a"b'}),
        Feedback("bad", trace_id=trace_id, error="it failed", span_id="0123456789abcdef"),
        Expectation("expected", value, trace_id=trace_id),
    ]


def served(store: Any, experiment: str) -> list[Any]:
    """What the server answers to each question, page after page as far as two of them go."""
    handlers._tracking_store = store
    client = app.test_client()
    places = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}]
    seen = []
    for text, order in questions():
        body = {"locations": places, "filter": text, "max_results": 70, "order_by": order}
        answer = client.post(SEARCH, json=body)
        said = json.loads(answer.data)
        if token := said.get("next_page_token"):
            more = client.post(SEARCH, json={**body, "page_token": token})
            said["more"] = json.loads(more.data)
        # Of a refusal, what the database was asked is quoted behind it.
        seen.append(
            (answer.status_code, {"message": said["message"].partition("[SQL")[0]} if "message" in said else said)
        )
    return seen


def open_trace(store: Any, trace_id: str) -> Any:
    """What the server answers to who opens a trace."""
    handlers._tracking_store = store
    answer = app.test_client().get(OPEN, query_string={"trace_id": trace_id, "allow_partial": "true"})
    return answer.status_code, json.loads(answer.data)


def plan(store: Any, text: str, experiment: str) -> str:
    """How PostgreSQL reads the traces of a search when it would rather use any index than none, few as they are."""
    statements.clear()
    store.search_traces(locations=[experiment], filter_string=text, max_results=5)
    asked, parameters = next(each for each in statements if "trace_info" in each[0])
    with store.engine.connect() as connection:
        # The plan must not depend on whether autovacuum has already counted the rows.
        connection.exec_driver_sql("ANALYZE")
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {asked}", parameters))


def shortened(answer: Any) -> Any:
    return json.dumps(answer)[:2_000]
