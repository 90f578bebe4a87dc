"""The comparison of the model registry finds faults: each is planted in a statement or a filter, and must be seen."""

from __future__ import annotations

from types import ModuleType

import pytest

from mlflow_postgres.rest import aliases, model_versions, registered_models, registry_filters
from mlflow_postgres.rest.registry_filters import MODELS, VERSIONS, Searched

from .sides import Request, Sides

API = "/api/2.0/mlflow"
PROMPT = "mlflow.prompt.is_prompt"


def get(call: str, query: object) -> Request:
    return Request("GET", f"{API}/{call}", query=query)  # type: ignore[arg-type]  # a mapping


def post(call: str, body: object) -> Request:
    return Request("POST", f"{API}/{call}", body)


def use(sides: Sides) -> None:
    """Two of each call, and a look at all rows."""
    for name, tags in (("one", []), ("two", [{"key": "k", "value": "v"}]), ("p", [{"key": PROMPT, "value": "true"}])):
        sides.ask(post("registered-models/create", {"name": name, "description": "d", "tags": tags}))
        for number in range(3):
            body = {"name": name, "source": f"s3://bucket/{number}", "run_link": "l", "description": ""}
            sides.ask(post("model-versions/create", body | {"tags": [{"key": "n", "value": str(number)}, *tags]}))
    sides.ask(post("model-versions/transition-stage", {"name": "one", "version": "1", "stage": "Staging"}))
    sides.ask(Request("DELETE", f"{API}/model-versions/delete", {"name": "two", "version": "3"}))
    sides.ask(post("registered-models/alias", {"name": "one", "alias": "last", "version": "3"}))
    for value in ("1", "2"):
        sides.ask(post("registered-models/set-tag", {"name": "one", "key": "k", "value": value}))
        sides.ask(post("model-versions/set-tag", {"name": "one", "version": "2", "key": "m", "value": value}))
        sides.ask(post("registered-models/alias", {"name": "one", "alias": "best", "version": value}))
    for alias in ("best", "last"):
        sides.ask(get("registered-models/alias", {"name": "one", "alias": alias}))
    for version in ("1", "2", "3"):
        sides.ask(get("model-versions/get", {"name": "two", "version": version}))
        sides.ask(get("model-versions/get-download-uri", {"name": "two", "version": version}))
    for name in ("one", "two"):
        sides.ask(get("registered-models/get", {"name": name}))
        sides.ask(post("registered-models/get-latest-versions", {"name": name}))
        sides.ask(post("registered-models/get-latest-versions", {"name": name, "stages": ["Staging"]}))
    for call in ("registered-models", "model-versions"):
        for query in ({}, {"max_results": 1}, {"filter": "tags.k = 'v'"}, {"filter": f"tags.`{PROMPT}` = 'true'"}):
            sides.ask(get(f"{call}/search", query))
        sides.ask(get(f"{call}/search", {"order_by": ["name DESC"], "filter": "name IN ('one', 'two')"}))
    sides.compare_rows()


@pytest.fixture
def clean(sides: Sides) -> Sides:
    sides.execute("TRUNCATE registered_models CASCADE")
    return sides


def test_without_a_fault_there_is_no_difference(clean: Sides) -> None:
    use(clean)
    assert sum(clean.served.values()) > 30


@pytest.mark.parametrize(
    ("module", "name", "right", "wrong"),
    [
        (registered_models, "_GET", "version.version DESC", "version.version"),
        (registered_models, "_GET", "nullif(model.description, '')", "NULL::text"),
        (registered_models, "_GET", "'\"' || given.version || '\"'", "given.version"),
        (registered_models, "_SEARCH", "ORDER BY model.place", "ORDER BY model.place DESC"),
        (registered_models, "_CREATE", "%(description)s::varchar", "NULL"),
        (registered_models, "_CREATE", "SELECT workspace, name, key, value", "SELECT workspace, name, value, key"),
        (registered_models, "_SET_TAG", "SET value = excluded.value", "SET value = ''"),
        (model_versions, "_GET", "version.current_stage <> 'Deleted_Internal'", "TRUE"),
        (model_versions, "_GET_LATEST", "= ANY(%(stages)s::varchar[])", "<> ALL(%(stages)s::varchar[])"),
        (model_versions, "_GET_LATEST", '"aliases"', '"other"'),
        (model_versions, "_GET_DOWNLOAD_URI", "version.storage_location", "version.name"),
        (model_versions, "_SEARCH", "version.current_stage <> 'Deleted_Internal'", "TRUE"),
        (model_versions, "_SEARCH", "to_json(version.description)", "to_json(nullif(version.description, ''))"),
        (model_versions, "_SET_TAG", "SET value = excluded.value", "SET value = model_version_tags.value"),
        (aliases, "_GET", "asked.alias = %(alias)s::varchar", "asked.alias <> %(alias)s::varchar"),
        (aliases, "_SET", "SET version = excluded.version", "SET version = registered_model_aliases.version"),
    ],
)
def test_a_wrong_statement_is_found(
    clean: Sides, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, right: str, wrong: str
) -> None:
    statement = getattr(module, name)
    assert right in statement
    monkeypatch.setattr(module, name, statement.replace(right, wrong))
    with pytest.raises(AssertionError):
        use(clean)


def test_a_wrong_filter_is_found(clean: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_filters, "IS_PROMPT_TAG_KEY", "k")
    registry_filters.translated.cache_clear()
    with pytest.raises(AssertionError):
        use(clean)
    registry_filters.translated.cache_clear()


@pytest.mark.parametrize(("searched", "right", "wrong"), [(MODELS, "ASC", "DESC"), (VERSIONS, "DESC", "ASC")])
def test_a_wrong_order_is_found(
    clean: Sides, monkeypatch: pytest.MonkeyPatch, searched: Searched, right: str, wrong: str
) -> None:
    ordered = registry_filters.ordered

    def ordered_wrongly(kind: Searched, order_by: tuple[str, ...]) -> str:
        terms = ordered(kind, order_by)
        return terms.replace(right, wrong) if kind is searched and not order_by else terms

    monkeypatch.setattr(registry_filters, "ordered", ordered_wrongly)
    with pytest.raises(AssertionError):
        use(clean)
