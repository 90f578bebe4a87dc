"""Searches for experiments."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from mlflow.utils.search_utils import SearchExperimentsUtils

from . import answers, experiments, filters, pages
from .arguments import Arguments
from .database import Database
from .errors import NotServed

_STAGES: Final = {"ACTIVE_ONLY": "{active}", "DELETED_ONLY": "{deleted}", "ALL": "{active,deleted}"}
_USUAL_ORDER: Final = ("creation_time DESC", "experiment_id ASC")
_TEXT_COMPARATORS: Final = ("=", "!=", "LIKE", "ILIKE")
_TAGS: Final = "experiment_tags AS tag WHERE tag.experiment_id = experiment.experiment_id"
_ID: Final = re.compile(r"0|[1-9][0-9]{0,8}")

_SEARCH: Final = """
SELECT {is_whole}, {json}
  FROM experiments AS experiment
 WHERE lifecycle_stage = ANY(%(stages)s::varchar[]) AND {condition}
 ORDER BY {order} OFFSET %(offset)s::bigint LIMIT %(limit)s::bigint
"""


class Search(Arguments):
    max_results: Annotated[int, msgspec.Meta(ge=1, le=50_000)]
    view_type: Literal["ACTIVE_ONLY", "DELETED_ONLY", "ALL"] = "ACTIVE_ONLY"
    order_by: Sequence[str] = ()
    filter: str = ""
    page_token: str = ""


async def search(database: Database, arguments: Search) -> bytes:
    before = pages.offset(arguments.page_token)
    most = arguments.max_results
    condition, found = _translated(arguments.filter)
    statement = _SEARCH.format(
        is_whole=experiments.IS_WHOLE,
        json=experiments.JSON,
        condition=condition,
        order=_ordered(tuple(arguments.order_by) or _USUAL_ORDER),
    )
    values = {**found, "stages": _STAGES[arguments.view_type], "offset": str(before), "limit": str(most + 1)}
    rows = await database.read(statement, values)
    if any(is_whole == b"f" for is_whole, _ in rows):
        raise NotServed
    fields = []
    if rows:
        fields.append(b'"experiments":[%b]' % b",".join([experiment for _, experiment in rows[:most]]))
    if len(rows) > most:
        fields.append(b'"next_page_token":"%b"' % pages.token(before + most))
    return answers.ascii_json(b"{%b}" % b",".join(fields))


@functools.lru_cache(maxsize=1_000)
def _translated(text: str) -> tuple[str, Mapping[str, str]]:
    """A condition, and the values of its parameters. Raises `NotServed`."""
    try:
        parsed: list[dict[str, Any]] = SearchExperimentsUtils.parse_search_filter(text)
    except Exception:
        # Besides its own errors, MLflow raises others for some texts, and answers with status 500.
        raise NotServed from None
    conditions, values = ["TRUE"], {}
    for number, each in enumerate(parsed):
        kind, key, comparator, value = each["type"], each["key"], each["comparator"], each["value"]
        name = f"f{number}"
        if kind == "attribute":
            conditions.append(_of_attribute(key, comparator, value, name))
            values[name] = filters.parameter(value)
            continue
        # Another kind is rejected by the parser.
        tag = f"{_TAGS} AND tag.key = %({name}_key)s::varchar"
        values[f"{name}_key"] = key
        if comparator in ("IS NULL", "IS NOT NULL"):
            conditions.append(f"{'NOT' if comparator == 'IS NULL' else ''} EXISTS (SELECT FROM {tag})")
        elif comparator in _TEXT_COMPARATORS:
            conditions.append(f"EXISTS (SELECT FROM {tag} AND {filters.of_text('tag.value', comparator, value, name)})")
            values[name] = value
        else:
            raise NotServed
    return " AND ".join(conditions), values


def _of_attribute(key: str, comparator: str, value: object, name: str) -> str:
    column = f"experiment.{key}"
    if key in SearchExperimentsUtils.NUMERIC_ATTRIBUTES:
        return filters.of_integer(column, comparator, value, name)
    if key == "experiment_id":
        ids = value if isinstance(value, tuple) else (value,)
        if not all(isinstance(each, str) and _ID.fullmatch(each) for each in ids):
            raise NotServed
        match comparator:
            case "=" | "!=" if not isinstance(value, tuple):
                return f"{column} {filters.OPERATORS[comparator]} %({name})s::integer"
            case "IN" | "NOT IN" if isinstance(value, tuple):
                return f"{'NOT' if comparator == 'NOT IN' else ''} {column} = ANY(%({name})s::integer[])"
        raise NotServed
    if comparator not in _TEXT_COMPARATORS:
        raise NotServed
    return filters.of_text(column, comparator, value, name)


@functools.lru_cache(maxsize=1_000)
def _ordered(order_by: tuple[str, ...]) -> str:
    """The terms of the order. Raises `NotServed`."""
    terms = []
    keys = set()
    for text in order_by:
        try:
            parsed = SearchExperimentsUtils.parse_order_by_for_search_experiments(text)
        except Exception:
            # As above.
            raise NotServed from None
        kind, key, is_ascending = parsed
        if kind != "attribute":
            raise NotServed
        keys.add(key)
        terms.append(f"experiment.{key} {'ASC' if is_ascending else 'DESC'}")
    if "experiment_id" not in keys:
        terms.append("experiment.experiment_id DESC")
    return ", ".join(terms)
