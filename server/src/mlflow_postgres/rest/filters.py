"""The filter of a search for runs as conditions of a statement over `runs AS run`.

MLflow's own parser reads the filter. What it rejects, and what has no condition here, MLflow answers.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlflow.utils.search_utils import SearchUtils

from . import arrays
from .errors import NotServed
from .indexed_texts import INDEXED, is_beginning, is_short, literal_beginning

_COLUMNS: Final = {
    "run_id": "run_uuid",
    "run_name": "name",
    "user_id": "user_id",
    "status": "status",
    "start_time": "start_time",
    "end_time": "end_time",
    "artifact_uri": "artifact_uri",
}
"""Of `runs`, by the attribute."""
_TABLES: Final = {"metric": "latest_metrics", "parameter": "params", "tag": "tags"}
OPERATORS: Final = {"=": "=", "!=": "<>", ">": ">", ">=": ">=", "<": "<", "<=": "<=", "LIKE": "LIKE", "ILIKE": "ILIKE"}


@dataclass(frozen=True)
class Filter:
    """A filter in SQL. Its values are parameters of the statement."""

    joins: str
    """Tables beside `runs`, each with one row of a run at most."""
    condition: str
    ranges: tuple[tuple[str, str], ...]
    """Metrics, and conditions on `value` that no run without the metric meets."""
    lists: tuple[str, ...]
    """Tables with conditions, each for the rows of one index. Every run that is found has a row in each."""
    values: Mapping[str, str]


Term = tuple[str, str]
"""An expression, and its direction."""


@dataclass(frozen=True)
class Order:
    """An order in SQL."""

    joins: tuple[str, ...]
    terms: tuple[Term, ...]
    metric: str
    """The metric that comes first, if one does. The first join and the first two terms are its."""
    values: Mapping[str, str]


@functools.lru_cache(maxsize=1_000)
def translated(text: str) -> Filter:
    """Raises `NotServed`."""
    try:
        parsed: list[dict[str, Any]] = SearchUtils.parse_search_filter(text)
    except Exception:
        # Besides its own errors, MLflow raises others for some texts, and answers with status 500.
        raise NotServed from None
    joins, conditions, ranges, lists, values = [], ["TRUE"], [], [], {}
    for number, each in enumerate(parsed):
        kind, comparator, value = each["type"], each["comparator"].upper(), each["value"]
        key: str = SearchUtils.translate_key_alias(each["key"])
        name = f"f{number}"
        if kind == "attribute" and key == "run_name":
            kind, key = "tag", "mlflow.runName"
        elif kind == "attribute":
            conditions.append(_of_attribute(key, comparator, value, name))
            values[name] = parameter(value)
            continue
        elif kind == "dataset":
            joins.append(_join_datasets(key, comparator, value, name))
            values[name] = parameter(value)
            continue
        elif kind not in _TABLES:
            raise NotServed
        table = f"{_TABLES[kind]} AS {name}"
        values[f"{name}_key"] = key
        of_key = f"{name}.key = %({name}_key)s::varchar"
        of_run = f"{name}.run_uuid = run.run_uuid AND {of_key}"
        if comparator in ("IS NULL", "IS NOT NULL"):
            conditions.append(f"{'NOT' if comparator == 'IS NULL' else ''} EXISTS (SELECT FROM {table} WHERE {of_run})")
            continue
        joins.append(f"JOIN {table} ON {of_run}")
        values[name] = value
        if kind == "metric":
            condition, is_indexed = _of_metric(comparator, value, name), comparator != "!="
            if is_indexed:
                ranges.append((key, f"value {OPERATORS[comparator]} %({name})s::float8"))
        else:
            condition, beginning = of_indexed_text(_TABLES[kind], comparator, value, name)
            is_indexed = bool(beginning) or is_short(comparator, _TABLES[kind], value)
            values |= beginning
        conditions.append(condition)
        if is_indexed:
            lists.append(f"{table} WHERE {of_key} AND {condition}")
    return Filter("\n".join(joins), " AND ".join(conditions), tuple(ranges), tuple(lists), values)


@functools.lru_cache(maxsize=1_000)
def ordered(order_by: tuple[str, ...]) -> Order:
    """Raises `NotServed`."""
    joins: list[str] = []
    terms: list[Term] = []
    metric = ""
    values: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    for number, text in enumerate(order_by):
        try:
            parsed = SearchUtils.parse_order_by_for_search_runs(text)
        except Exception:
            # As above.
            raise NotServed from None
        kind, key, is_ascending = parsed
        key = SearchUtils.translate_key_alias(key)
        if (kind, key) in seen:
            raise NotServed
        seen.add((kind, key))
        if kind == "attribute":
            value = f"run.{_COLUMNS[key]}"
        elif kind in _TABLES:
            name = f"o{number}"
            joins.append(
                f"LEFT JOIN {_TABLES[kind]} AS {name} ON {name}.run_uuid = run.run_uuid"
                f" AND {name}.key = %({name}_key)s::varchar"
            )
            values[f"{name}_key"] = key
            value = f"{name}.value"
            if kind == "metric":
                metric = metric if number else key
                terms.append((f"CASE WHEN {name}.is_nan THEN 1 WHEN {value} IS NULL THEN 2 ELSE 0 END", "ASC"))
        else:
            raise NotServed
        terms.append((value, "ASC NULLS LAST" if is_ascending else "DESC NULLS LAST"))
    if ("attribute", "start_time") not in seen:
        terms.append(("run.start_time", "DESC"))
    terms.append(("run.run_uuid", "ASC"))
    return Order(tuple(joins), tuple(terms), metric, values)


def _of_attribute(key: str, comparator: str, value: object, name: str) -> str:
    column = f"run.{_COLUMNS[key]}"
    if key in SearchUtils.NUMERIC_ATTRIBUTES:
        return of_integer(column, comparator, value, name)
    return of_text(column, comparator, value, name)


def parameter(value: object) -> str:
    """The value of a condition's parameter."""
    return arrays.of_texts(value) if isinstance(value, tuple) else str(value)


def of_integer(column: str, comparator: str, value: object, name: str, bits: int = 64) -> str:
    """The condition that MLflow has for a number. Raises `NotServed`."""
    # PostgreSQL compares an integer with another number in ways of its own.
    is_integer = type(value) is int and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)
    if comparator not in SearchUtils.VALID_NUMERIC_ATTRIBUTE_COMPARATORS or not is_integer:
        raise NotServed
    return f"{column} {OPERATORS[comparator]} %({name})s::bigint"


def of_text(column: str, comparator: str, value: object, name: str) -> str:
    """The condition that MLflow has for a text, or for one of a list. Raises `NotServed`."""
    if comparator not in SearchUtils.VALID_STRING_ATTRIBUTE_COMPARATORS:
        raise NotServed
    if isinstance(value, tuple) != (comparator in ("IN", "NOT IN")):
        raise NotServed
    if isinstance(value, tuple):
        return f"{'NOT' if comparator == 'NOT IN' else ''} {column} = ANY(%({name})s::varchar[])"
    _check_pattern(comparator, str(value))
    return f"{column} {OPERATORS[comparator]} %({name})s::varchar"


def _check_pattern(comparator: str, value: str) -> None:
    """Raise `NotServed` for a pattern on which PostgreSQL fails, unless its plan compares no row with it."""
    ending = len(value) - len(value.rstrip("\\"))
    if comparator in ("LIKE", "ILIKE") and ending % 2:
        raise NotServed


def _join_datasets(key: str, comparator: str, value: object, name: str) -> str:
    """The join with runs that have such a dataset as an input."""
    column, tags = f"dataset.{key}", ""
    if key == "context":
        column = "tag.value"
        tags = "JOIN input_tags AS tag ON tag.input_uuid = input.input_uuid AND tag.name = 'mlflow.data.context'"
    return f"""JOIN (
  SELECT DISTINCT destination_id
    FROM datasets AS dataset JOIN inputs AS input ON input.source_id = dataset.dataset_uuid {tags}
   WHERE {of_text(column, comparator, value, name)}
) AS {name} ON {name}.destination_id = run.run_uuid"""


def _of_metric(comparator: str, value: str, name: str) -> str:
    if comparator not in SearchUtils.VALID_METRIC_COMPARATORS or not _is_float(value):
        raise NotServed
    # What is not a number is stored as 0, and is unequal to every number.
    is_so = f"{name}.value {OPERATORS[comparator]} %({name})s::float8"
    return f"({is_so} OR {name}.is_nan)" if comparator == "!=" else f"{is_so} AND NOT {name}.is_nan"


def _is_float(value: str) -> bool:
    try:
        return abs(float(value)) < float("inf")
    except ValueError:
        return False


def of_indexed_text(table: str, comparator: str, value: str, name: str) -> tuple[str, dict[str, str]]:
    """The condition, said once more for the indexes of `migration/tuning.py`, and its further values."""
    # Those of parameters are the same.
    if comparator not in SearchUtils.VALID_TAG_COMPARATORS:
        raise NotServed
    _check_pattern(comparator, value)
    is_so = f"{name}.value {OPERATORS[comparator]} %({name})s::varchar"
    if comparator not in ("=", "LIKE"):
        return is_so, {}
    if is_short(comparator, table, value):
        return f"{is_so} AND octet_length({name}.value) <= {INDEXED}", {}
    beginning = literal_beginning(comparator, value)
    if not beginning:
        return is_so, {}
    pattern = beginning if comparator == "=" else f"{beginning}%"
    begins = f"left({name}.value, {INDEXED}) {comparator} %({name}_beginning)s::text"
    # Both conditions would be counted as if one did not follow from the other: as far too few rows.
    condition = begins if is_beginning(comparator, table, value) else f"{is_so} AND {begins}"
    return condition, {f"{name}_beginning": pattern}
