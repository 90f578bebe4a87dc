"""What MLflow stores of spans, by trace, as its store computes it (`SqlAlchemyStore._log_spans_once`). Pure."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mlflow.entities.span import Span
from mlflow.entities.trace_state import TraceState
from mlflow.store.tracking import sqlalchemy_store as store
from mlflow.store.tracking.utils.trace_analytics import (
    COST_COLUMN_BY_KEY,
    TOKEN_COLUMN_BY_KEY,
    bounded_model_dimension,
    finite_float_or_none,
    token_count_or_none,
    validate_session_id,
    validate_trace_name,
)
from mlflow.tracing.constant import GenAiSemconvKey, SpanAttributeKey, SpansLocation, TraceTagKey
from mlflow.tracing.otel.translation import translate_span_when_storing
from mlflow.tracing.utils import (
    SpanAggregationNode,
    TraceJSONEncoder,
    aggregate_cost_from_span_nodes,
    aggregate_usage_from_span_nodes,
)
from mlflow.tracing.utils.truncation import _get_truncated_preview
from mlflow.utils.validation import _validate_trace_tag

from .errors import NotServed

Row = dict[str, Any]
"""By column."""


@dataclass
class Trace:
    """The spans of one trace in a request."""

    id: str
    start: int
    """Milliseconds, of the first of its spans."""
    end: int
    """Milliseconds, of the last."""
    state: str | None
    """That of its root, if that is among the spans."""
    spans: list[Row] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    name: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    root: Row | None = None
    usage_nodes: list[SpanAggregationNode] = field(default_factory=list)
    cost_nodes: list[SpanAggregationNode] = field(default_factory=list)
    has_usage: bool = False
    has_cost: bool = False

    def sums(self, stored: Sequence[tuple[str, str | None, Row]]) -> Row:
        """The columns of tokens and costs, over these spans and others: their ids, their parents' and attributes."""
        own = {row["span_id"] for row in self.spans}
        columns: Row = {}
        if self.has_usage:
            nodes = self.usage_nodes + _nodes(stored, own, SpanAttributeKey.CHAT_USAGE)
            usage = aggregate_usage_from_span_nodes(nodes) or {}
            columns |= {column: token_count_or_none(usage.get(key)) for key, column in TOKEN_COLUMN_BY_KEY.items()}
        if self.has_cost:
            nodes = self.cost_nodes + _nodes(stored, own, SpanAttributeKey.LLM_COST)
            cost = aggregate_cost_from_span_nodes(nodes) or {}
            columns |= {column: finite_float_or_none(cost.get(key)) for key, column in COST_COLUMN_BY_KEY.items()}
        return columns

    def previews(self) -> Row:
        """Raises an error of MLflow's, which it logs."""
        attributes = (self.root or {}).get("attributes", {})
        return {
            "request_preview": _preview(attributes.get(SpanAttributeKey.INPUTS), "user"),
            "response_preview": _preview(attributes.get(SpanAttributeKey.OUTPUTS), "assistant"),
        }


def grouped(spans: Sequence[Span]) -> list[Trace]:
    """By trace. Raises errors where MLflow does, and `NotServed`."""
    by_trace: dict[str, list[Span]] = {}
    for span in spans:
        by_trace.setdefault(span.trace_id, []).append(span)
    if not by_trace:
        raise NotServed
    return [_trace(trace_id, each) for trace_id, each in by_trace.items()]


def _trace(trace_id: str, spans: Sequence[Span]) -> Trace:
    trace = Trace(
        trace_id,
        min(span.start_time_ns for span in spans) // 1_000_000,
        max(span.end_time_ns or 0 for span in spans) // 1_000_000,
        _state(spans),
    )
    tags: dict[str, str] = {}
    for span in spans:
        written = translate_span_when_storing(span)
        attributes: Row = written.get("attributes", {})
        for key, nodes in (
            (SpanAttributeKey.CHAT_USAGE, trace.usage_nodes),
            (SpanAttributeKey.LLM_COST, trace.cost_nodes),
        ):
            nodes.append(store._span_aggregation_node(span.span_id, span.parent_id, attributes, key))
        _take_session_and_user(trace, attributes)
        trace.spans.append(_row(span, written, attributes))
        if span.parent_id is None:
            trace.root = written
            tags |= _tags_of_attributes(attributes)
    trace.has_usage = bool(aggregate_usage_from_span_nodes(trace.usage_nodes))
    trace.has_cost = bool(aggregate_cost_from_span_nodes(trace.cost_nodes))
    trace.name = tags.pop(TraceTagKey.TRACE_NAME, None)
    trace.tags = {TraceTagKey.SPANS_LOCATION: SpansLocation.TRACKING_STORE.value, **_tags_of_resource(spans), **tags}
    return trace


def _state(spans: Sequence[Span]) -> str | None:
    roots = [span for span in spans if span.parent_id is None]
    if not roots:
        return None
    state = TraceState.ERROR if roots[0].status.status_code == "ERROR" else TraceState.OK
    return state.value


def _take_session_and_user(trace: Trace, attributes: Row) -> None:
    session = attributes.get(SpanAttributeKey.SESSION_ID) or attributes.get(GenAiSemconvKey.CONVERSATION_ID)
    if trace.session_id is None and session:
        trace.session_id = validate_session_id(_text(session))
    if trace.user_id is None and (user := attributes.get("user.id")):
        trace.user_id = _text(user)


def _row(span: Span, written: Row, attributes: Row) -> Row:
    costs: Any = {}
    if cost := attributes.get(SpanAttributeKey.LLM_COST):
        with contextlib.suppress(TypeError, ValueError):
            costs = json.loads(cost)
    if not isinstance(span.span_type, str | None):
        raise NotServed
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_id,
        "name": span.name,
        "type": span.span_type,
        "status": span.status.status_code.value,
        "start_time_unix_nano": span.start_time_ns,
        "end_time_unix_nano": span.end_time_ns,
        "content": json.dumps(written, cls=TraceJSONEncoder, ensure_ascii=False),
        **{column: finite_float_or_none(costs.get(column)) for column in COST_COLUMN_BY_KEY.values()},
        "model_name": _dimension(attributes, SpanAttributeKey.MODEL),
        "model_provider": _dimension(attributes, SpanAttributeKey.MODEL_PROVIDER),
    }


def _dimension(attributes: Row, key: str) -> str | None:
    return bounded_model_dimension(_text(attributes.get(key)))


def _tags_of_attributes(attributes: Row) -> dict[str, str]:
    tags = {}
    prefix = SpanAttributeKey.TRACE_TAG_PREFIX
    for name, value in attributes.items():
        if name.startswith(prefix):
            try:
                key, text = _valid_tag(name.removeprefix(prefix), str(_text(value)))
            except Exception:
                # MLflow leaves it out.
                continue
            if key == TraceTagKey.TRACE_NAME:
                validate_trace_name(text)
            tags[key] = text
    return tags


def _tags_of_resource(spans: Sequence[Span]) -> dict[str, str]:
    """Of the first span that has a resource with attributes."""
    resources = (getattr(span._span, "resource", None) for span in spans)
    resource = next((each for each in resources if each is not None and each.attributes), None)
    tags = {}
    for name, value in resource.attributes.items() if resource is not None else ():
        if name.startswith(("telemetry.sdk.", "mlflow.")):
            continue
        text = value if isinstance(value, str) else json.dumps(value)
        try:
            key, text = _valid_tag(name, text)
        except Exception:
            # As above.
            continue
        tags[key] = text
    return tags


def _valid_tag(key: str, value: str) -> tuple[str, str]:
    """The tag, whose value may be cut. Raises an error of MLflow's."""
    valid: tuple[str, str] = _validate_trace_tag(key, value)
    return valid


def _text(value: Any) -> str:
    """A string in JSON, or what is none as it is."""
    return store._try_parse_json_string(value)


def _preview(value: Any, role: str) -> str | None:
    if not value:
        return None
    if not isinstance(value, str):
        raise NotServed
    preview: str | None = _get_truncated_preview(value, role=role)
    return preview


def _nodes(stored: Sequence[tuple[str, str | None, Row]], own: set[str], attribute: str) -> list[SpanAggregationNode]:
    return [
        store._span_aggregation_node(span_id, parent_id, attributes, attribute)
        for span_id, parent_id, attributes in stored
        if span_id not in own
    ]
