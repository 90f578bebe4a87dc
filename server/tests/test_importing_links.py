"""Spans name the prompts that they used, in the JSON of an attribute."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from mlflow_postgres.importing import links

PROMPTS = "mlflow.linkedPrompts"
LINKED = '[{"name": "m", "version": "3"}, {"name": "n", "version": "1"}]'


@pytest.mark.parametrize("kind", [str, json.dumps], ids=["a list", "a text"])
def test_a_span_names_the_prompts_that_it_used_as_they_are_called_now(kind: Callable[[str], str]) -> None:
    names, listed = {("default", "m"): "m (imported)"}, kind(LINKED)
    attributes = {"mlflow.spanInputs": '"ü"', PROMPTS: listed}
    content = json.dumps({"name": "a", "attributes": attributes}, ensure_ascii=False)
    new = kind(LINKED.replace('"m"', '"m (imported)"'))
    assert links.renamed_in_span(content, "default", names) == json.dumps(
        {"name": "a", "attributes": {**attributes, PROMPTS: new}}, ensure_ascii=False
    )
    assert links.renamed_in_span(content, "team", names) == content


@pytest.mark.parametrize(
    "content", ["no JSON", '{"attributes": {}}', json.dumps({"attributes": {PROMPTS: '"no list"'}})]
)
def test_a_span_that_lists_no_prompts_stays_as_it_is(content: str) -> None:
    assert links.renamed_in_span(content, "default", {("default", "m"): "n"}) == content
