"""The metrics, parameters and tags of runs as the JSON of an answer, made by PostgreSQL and put into it as it is.

MLflow makes each of them an object, then a message, then JSON; of a search for 100 runs that is most of the time.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import sqlalchemy
from flask import has_request_context, request
from google.protobuf.message import Message
from sqlalchemy.orm import Session

_wanted: ContextVar[dict[str, str] | None] = ContextVar("wanted", default=None)
"""While runs are read for an answer in JSON: the text of each one's data, by its id."""
_made: ContextVar[tuple[Message, dict[str, str]] | None] = ContextVar("made", default=None)
"""The last message that was made without its data, and the data."""

_ANSWERS = ("/mlflow/runs/search", "/mlflow/runs/get")
"""What asks for runs and gives nothing but JSON. The pages ask in another way, too, which takes messages apart."""

_STATEMENT = """
SELECT id,
       (SELECT json_agg(each) FROM (
          SELECT key, CASE WHEN is_nan THEN 'NaN' ELSE value END AS value, timestamp, step
            FROM latest_metrics WHERE run_uuid = id) AS each)::text AS metrics,
       (SELECT json_agg(each) FROM (SELECT key, value FROM params WHERE run_uuid = id) AS each)::text AS params,
       (SELECT json_agg(each) FROM (SELECT key, value FROM tags WHERE run_uuid = id) AS each)::text AS tags,
       EXISTS (SELECT FROM inputs WHERE destination_type = 'RUN' AND destination_id = id)
         OR EXISTS (SELECT FROM inputs WHERE source_type IN ('RUN_INPUT', 'RUN_OUTPUT') AND source_id = id) AS linked
  FROM unnest(CAST(:ids AS varchar[])) AS ids (id)
"""


def install() -> None:
    handlers = importlib.import_module("mlflow.server.handlers")
    for name in ("search_runs_impl", "get_run_impl"):
        setattr(handlers, name, _with_texts(getattr(handlers, name)))


def _with_texts(original: Callable[[Message], Message]) -> Callable[[Message], Message]:
    def impl(request_message: Message) -> Message:
        if not (has_request_context() and request.path.endswith(_ANSWERS)):
            return original(request_message)
        found: dict[str, str] = {}
        token = _wanted.set(found)
        try:
            message = original(request_message)
        finally:
            _wanted.reset(token)
        _made.set((message, found))
        return message

    return impl


def are_wanted() -> bool:
    """Whether it is an answer in JSON that runs are read for."""
    return _wanted.get() is not None


def read(session: Session, run_ids: list[str]) -> bool:
    """Find the texts of runs. Returns whether none of the runs has an input or an output."""
    wanted = _wanted.get()
    assert wanted is not None
    linked = False
    for run_id, metrics, params, tags, has_links in session.execute(sqlalchemy.text(_STATEMENT), {"ids": run_ids}):
        wanted[run_id] = data_text(metrics, params, tags)
        linked = linked or has_links
    return not linked


def data_text(metrics: str | None, params: str | None, tags: str | None) -> str:
    """A run's data as MLflow writes it, of the JSON that PostgreSQL writes."""
    # Of quotes without a backslash before them, none is inside of a text.
    if metrics:
        metrics = metrics.replace('"value":-0,', '"value":-0.0,')
    if tags:
        tags = tags.replace(',"value":null}', "}")
    parts = (("metrics", metrics), ("params", params), ("tags", tags))
    text = "{" + ",".join(f'"{name}":{part}' for name, part in parts if part) + "}"
    return as_ascii(text)


def as_ascii(text: str) -> str:
    """JSON without a character outside of ASCII: a client that is told no encoding may guess one."""
    return text if text.isascii() else re.sub(r"[^\x00-\x7f]+", lambda found: json.dumps(found[0])[1:-1], text)


def of(message: object) -> dict[str, str]:
    """By the ids of its runs the data that a message was made without; nothing if it holds them itself."""
    made = _made.get()
    return made[1] if made and made[0] is message else {}


def with_data(answer: dict[str, Any], texts: dict[str, str]) -> str:
    """The JSON of an answer with one run, or with a list of them, and of the data that its runs lack."""
    if "run" in answer:
        return replaced(answer, "run", _run(answer["run"], texts))
    return replaced(answer, "runs", f"[{','.join(_run(run, texts) for run in answer.get('runs', ()))}]")


def _run(run: dict[str, Any], texts: dict[str, str]) -> str:
    # A page with a run that has no name of its own was read as rows, and holds its data.
    text = texts.get(run["info"]["run_id"])
    return replaced(run, "data", text) if text else compact(run)


def replaced(values: Mapping[str, object], name: str, text: str) -> str:
    """JSON of an object in which one value is such text already."""
    others = compact({key: value for key, value in values.items() if key != name})
    return f'{others[:-1]}{"," if len(others) > 2 else ""}"{name}":{text}}}'


# Made once: `json.dumps` makes an encoder at each call that asks for less than its usual spaces.
compact = json.JSONEncoder(separators=(",", ":")).encode
