"""The filter and the order of a search for traces, as parts of a statement over `trace_info AS trace`.

MLflow's own parser reads them. What it rejects, and what has no condition here, MLflow answers.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlflow.store.tracking.sqlalchemy_store import _SPAN_SEARCH_TIMESTAMP_TOLERANCE_MS
from mlflow.store.tracking.utils.trace_analytics import TRACE_ANALYTICS_COLUMNS_BY_METADATA_KEY
from mlflow.tracing.constant import TraceMetadataKey, TraceTagKey
from mlflow.utils.search_utils import SearchTraceUtils

from .errors import NotServed
from .filters import Term, of_indexed_text, of_integer, of_text, parameter

_NUMBERS: Final = {
    "timestamp_ms": "trace.timestamp_ms",
    "execution_time_ms": "trace.execution_time_ms",
    "end_time_ms": "trace.timestamp_ms + coalesce(trace.execution_time_ms, 0)",
}
_TEXTS: Final = {name: f"trace.{name}" for name in ("request_id", "status", "client_request_id")}
_OF_PAIRS: Final = {
    ("tag", TraceTagKey.TRACE_NAME): "trace.trace_name",
    ("request_metadata", TraceMetadataKey.TRACE_SESSION): "trace.session_id",
}
"""Columns of a tag and of a piece of metadata that have no row of their own."""
_TABLES: Final = {"tag": "trace_tags", "request_metadata": "trace_request_metadata"}
_OF_SPANS: Final = {name: f"span.{name}" for name in ("name", "type", "status", "content")}
_ORDERS: Final = ("experiment_id", "timestamp_ms", "execution_time_ms", "status", "request_id")

# MLflow allows clocks to differ.
_SPAN_START: Final = "span.start_time_unix_nano >= (%({name})s::numeric - {tolerance}) * 1000000"
_OF_RUN: Final = f"""
(EXISTS (SELECT FROM entity_associations
          WHERE source_id = trace.request_id AND source_type = 'trace' AND destination_type = 'run'
            AND destination_id = %(run_id)s::varchar)
 OR EXISTS (SELECT FROM trace_request_metadata
             WHERE request_id = trace.request_id AND key = '{TraceMetadataKey.SOURCE_RUN}'
               AND value = %(run_id)s::varchar))
"""


@dataclass(frozen=True)
class Filter:
    """A filter in SQL. Its values are parameters of the statement."""

    joins: str
    """Tables beside `trace_info`, each with one row of a trace at most."""
    condition: str
    is_of_trace: bool
    """Whether columns of `trace_info` are enough."""
    values: Mapping[str, str]


@dataclass(frozen=True)
class Order:
    """An order in SQL."""

    joins: str
    terms: tuple[Term, ...]
    values: Mapping[str, str]


class _Conditions:
    """The conditions of a filter so far."""

    def __init__(self) -> None:
        self.joins: list[str] = []
        self.of_trace = ["TRUE"]
        self.of_spans: list[str] = []
        self.others: list[str] = []
        self.values: dict[str, str] = {}
        self.earliest: tuple[int, str] | None = None
        """The greatest lower bound of the time, and the parameter that has it."""

    def add(self, kind: str, key: str, comparator: str, value: Any, name: str) -> None:
        """Raises `NotServed`."""
        if value is not None:
            self.values[name] = parameter(value)
        if kind == "attribute":
            self._add_attribute(key, comparator, value, name)
        elif kind == "span" and key in _OF_SPANS:
            self.of_spans.append(of_text(_OF_SPANS[key], comparator, value, name))
        elif (kind, key) == ("request_metadata", TraceMetadataKey.SOURCE_RUN) and comparator == "=":
            # The last one counts.
            self.values["run_id"] = self.values.pop(name)
        elif (kind, key) in _OF_PAIRS:
            self.of_trace.append(_of_column(_OF_PAIRS[kind, key], comparator, value, name))
        elif kind in _TABLES and key not in (TraceTagKey.LINKED_PROMPTS, *TRACE_ANALYTICS_COLUMNS_BY_METADATA_KEY):
            self._add_pair(kind, key, comparator, value, name)
        else:
            raise NotServed

    def _add_attribute(self, key: str, comparator: str, value: Any, name: str) -> None:
        if key in _NUMBERS:
            self.of_trace.append(of_integer(_NUMBERS[key], comparator, value, name))
            is_bound = key == "timestamp_ms" and comparator in (">", ">=")
            if is_bound and (self.earliest is None or value > self.earliest[0]):
                self.earliest = (value, name)
        elif key in _TEXTS:
            self.of_trace.append(of_text(_TEXTS[key], comparator, value, name))
        else:
            raise NotServed

    def _add_pair(self, kind: str, key: str, comparator: str, value: Any, name: str) -> None:
        table = f"{_TABLES[kind]} AS {name}"
        of_trace = f"{name}.request_id = trace.request_id AND {name}.key = %({name}_key)s::varchar"
        self.values[f"{name}_key"] = key
        if comparator in ("IS NULL", "IS NOT NULL"):
            negation = "NOT" if comparator == "IS NULL" else ""
            self.others.append(f"{negation} EXISTS (SELECT FROM {table} WHERE {of_trace})")
            return
        if not isinstance(value, str):
            raise NotServed
        condition, more = of_indexed_text(_TABLES[kind], comparator, value, name)
        self.joins.append(f"JOIN {table} ON {of_trace} AND {condition}")
        self.values |= more

    def filter(self) -> Filter:
        if self.of_spans:
            same = ["span.trace_id = trace.request_id", "span.experiment_id = trace.experiment_id", *self.of_spans]
            if self.earliest is not None:
                name = self.earliest[1]
                same.append(_SPAN_START.format(name=name, tolerance=_SPAN_SEARCH_TIMESTAMP_TOLERANCE_MS))
            self.others.append(f"EXISTS (SELECT FROM spans AS span WHERE {' AND '.join(same)})")
        if "run_id" in self.values:
            self.others.append(_OF_RUN)
        return Filter(
            "\n".join(self.joins),
            " AND ".join([*self.of_trace, *self.others]),
            not (self.joins or self.others),
            self.values,
        )


@functools.lru_cache(maxsize=1_000)
def translated(text: str) -> Filter:
    """Raises `NotServed`."""
    try:
        parsed: list[dict[str, Any]] = SearchTraceUtils.parse_search_filter_for_search_traces(text)
    except Exception:
        # Besides its own errors, MLflow raises others for some texts, and answers with status 500.
        raise NotServed from None
    conditions = _Conditions()
    for number, each in enumerate(parsed):
        conditions.add(each["type"], each["key"], each["comparator"].upper(), each["value"], f"f{number}")
    return conditions.filter()


@functools.lru_cache(maxsize=1_000)
def ordered(order_by: tuple[str, ...]) -> Order:
    """Raises `NotServed`."""
    joins: list[str] = []
    terms: list[Term] = []
    values: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    for number, text in enumerate(order_by):
        try:
            parsed = SearchTraceUtils.parse_order_by_for_search_traces(text)
        except Exception:
            # As above.
            raise NotServed from None
        kind, key, is_ascending = parsed
        if (kind, key) in seen:
            raise NotServed
        seen.add((kind, key))
        if kind == "attribute" and key in _ORDERS:
            column = f"trace.{key}"
        elif (kind, key) in _OF_PAIRS:
            column = _OF_PAIRS[kind, key]
        elif kind in _TABLES and key not in TRACE_ANALYTICS_COLUMNS_BY_METADATA_KEY:
            name = f"o{number}"
            joins.append(
                f"LEFT JOIN {_TABLES[kind]} AS {name} ON {name}.request_id = trace.request_id"
                f" AND {name}.key = %({name}_key)s::varchar"
            )
            values[f"{name}_key"] = key
            column = f"{name}.value"
        else:
            raise NotServed
        # An index has the order of columns that cannot be NULL only without a place for NULL.
        is_nullable = kind != "attribute" or key == "execution_time_ms"
        terms.append((column, ("ASC" if is_ascending else "DESC") + (" NULLS LAST" if is_nullable else "")))
    for key, direction in (("timestamp_ms", "DESC"), ("request_id", "ASC")):
        if ("attribute", key) not in seen:
            terms.append((f"trace.{key}", direction))
    return Order("\n".join(joins), tuple(terms), values)


def _of_column(column: str, comparator: str, value: Any, name: str) -> str:
    if comparator in ("IS NULL", "IS NOT NULL"):
        return f"{column} {comparator}"
    # MLflow takes a list for an attribute alone.
    if not isinstance(value, str):
        raise NotServed
    return of_text(column, comparator, value, name)
