"""Filters and orders of searches in the model registry, as conditions and terms over `registered_models AS model` and
`model_versions AS version`.

MLflow's own parsers read them. What they reject, and what has no condition here, MLflow answers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils, SearchUtils

from . import filters
from .errors import NotServed


@dataclass(frozen=True, eq=False)
class Searched:
    """What is searched."""

    field: bytes
    """Of the answer."""
    parse: Callable[[str], list[dict[str, Any]]]
    """MLflow's parser of its filters."""
    texts: Mapping[str, str]
    """Columns of text, by the attribute."""
    numbers: Mapping[str, str]
    """Columns of 32-bit integers, by the attribute."""
    listed: frozenset[str]
    """Attributes that may be compared with a list."""
    tags: str
    """The tags of a row."""
    prompt_tags: str
    """The tags that say whether it is a prompt."""
    order_key: Callable[[str], tuple[str, bool]]
    """MLflow's parser of a term of its orders: an attribute, and whether the direction is ascending."""
    ordered: Mapping[str, str]
    """Columns, by the attribute."""
    usual: tuple[str, ...]
    """The order if none is given."""
    last: Mapping[str, str]
    """Columns that end every order, and their directions."""


def _model_order_key(term: str) -> tuple[str, bool]:
    key, is_ascending = SearchUtils.parse_order_by_for_search_registered_models(term)
    return key, is_ascending


def _version_order_key(term: str) -> tuple[str, bool]:
    # MLflow takes a tag for the attribute of the same name.
    _, key, is_ascending = SearchModelVersionUtils.parse_order_by_for_search_model_versions(term)
    return key, is_ascending


MODELS: Final = Searched(
    field=b"registered_models",
    parse=SearchModelUtils.parse_search_filter,
    texts={"name": "model.name"},
    numbers={},
    listed=frozenset({"name"}),
    tags="registered_model_tags AS tag WHERE tag.workspace = model.workspace AND tag.name = model.name",
    prompt_tags="registered_model_tags AS tag WHERE tag.workspace = model.workspace AND tag.name = model.name",
    order_key=_model_order_key,
    ordered={
        "name": "model.name",
        "timestamp": "model.last_updated_time",
        "last_updated_timestamp": "model.last_updated_time",
    },
    usual=(),
    last={"model.name": "ASC"},
)
VERSIONS: Final = Searched(
    field=b"model_versions",
    parse=SearchModelVersionUtils.parse_search_filter,
    texts={"name": "version.name", "run_id": "version.run_id", "source_path": "version.source"},
    numbers={"version_number": "version.version"},
    listed=frozenset({"name", "run_id"}),
    tags="model_version_tags AS tag WHERE tag.workspace = version.workspace AND tag.name = version.name"
    " AND tag.version = version.version",
    # One version that is a prompt makes them all prompts.
    prompt_tags="model_version_tags AS tag WHERE tag.workspace = version.workspace AND tag.name = version.name",
    order_key=_version_order_key,
    ordered={
        "name": "version.name",
        "version_number": "version.version",
        "creation_timestamp": "version.creation_time",
        "last_updated_timestamp": "version.last_updated_time",
    },
    usual=("last_updated_timestamp DESC",),
    last={"version.name": "ASC", "version.version": "DESC"},
)


@functools.lru_cache(maxsize=1_000)
def translated(searched: Searched, text: str) -> tuple[str, Mapping[str, str]]:
    """A condition, and the values of its parameters. Raises `NotServed`."""
    try:
        parsed = searched.parse(text)
        of_prompts: bool = SqlAlchemyStore._is_querying_prompt(parsed)
    except Exception:
        # Besides its own errors, MLflow raises others for some texts, and answers with status 500.
        raise NotServed from None
    conditions, values = ["TRUE"], {}
    if not of_prompts:
        conditions.append(
            f"NOT EXISTS (SELECT FROM {searched.prompt_tags}"
            f" AND tag.key = '{IS_PROMPT_TAG_KEY}' AND tag.value = 'true')"
        )
    for number, each in enumerate(parsed):
        kind, key, comparator, value = each["type"], each["key"], each["comparator"], each["value"]
        name = f"f{number}"
        if kind == "attribute":
            conditions.append(_of_attribute(searched, key, comparator, value, name))
            values[name] = filters.parameter(value)
        elif kind == "tag" and comparator in SearchModelUtils.VALID_TAG_COMPARATORS:
            # Those of versions are the same.
            if key == IS_PROMPT_TAG_KEY and not of_prompts:
                continue
            condition = filters.of_text("tag.value", comparator, value, name)
            conditions.append(
                f"EXISTS (SELECT FROM {searched.tags} AND tag.key = %({name}_key)s::varchar AND {condition})"
            )
            values |= {name: value, f"{name}_key": key}
        else:
            raise NotServed
    return " AND ".join(conditions), values


@functools.lru_cache(maxsize=1_000)
def ordered(searched: Searched, order_by: tuple[str, ...]) -> str:
    """The terms of the order. Raises `NotServed`."""
    terms: dict[str, str] = {}
    for text in order_by or searched.usual:
        try:
            key, is_ascending = searched.order_key(text)
            column = searched.ordered[key]
        except Exception:
            # As above.
            raise NotServed from None
        if column in terms:
            raise NotServed
        terms[column] = "ASC" if is_ascending else "DESC"
    for column, direction in searched.last.items():
        terms.setdefault(column, direction)
    return ", ".join(f"{column} {direction}" for column, direction in terms.items())


def _of_attribute(searched: Searched, key: str, comparator: str, value: object, name: str) -> str:
    if key in searched.numbers:
        return filters.of_integer(searched.numbers[key], comparator, value, name, bits=32)
    if key not in searched.texts or (isinstance(value, tuple) and key not in searched.listed):
        raise NotServed
    return filters.of_text(searched.texts[key], comparator, value, name)
