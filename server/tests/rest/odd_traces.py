"""Traces that are unusual, and what is asked of them."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from mlflow.entities import Expectation, Feedback, Span, TraceInfo, TraceLocation, TraceState

LETTERS = "".join(random.Random(5).choices("abcdefghij0123456789äß名😀", k=8_000))
KEY = "k" * 249 + "é"
TEXTS = [
    *("42", "4", "", "None", "null", "Ä", "名前", "😀" * 32, "😀" * 33, "b" * 128, "b" * 129, LETTERS[:4_096]),
    *('a"b', "a\\b", "line\nbreak", "\t\b\f\r\x01\x7f", "x'y", "50%", "{}", '"}', "}", "\u2028", "e\u0301"),
]
TIMES = [0, 1, 999, 1_000, 1_700_000_000_000, 1_700_000_000_120, 1_700_000_000_123, 253_402_300_799_999]
LENGTHS = [None, 0, 1, 10, 100, 999, 1_000, 1_234, 60_000, 123_456_789]
COUNT = 120
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


def questions() -> list[tuple[str, list[str]]]:
    """Each filter in two orders, so that filters of each kind meet each order."""
    return [(text, ORDERS[(number + more) % len(ORDERS)]) for more in (0, 2) for number, text in enumerate(FILTERS)]


def fill_traces(store: Any, experiment: str) -> list[str]:
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
