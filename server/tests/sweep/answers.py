"""What a server answers, so that the answers of two can be compared: ids and times by the order of their appearance."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import requests

from .calls import Call

LEAKS = re.compile(
    r"SELECT |INSERT INTO|UPDATE \w+ SET|DELETE FROM|\[SQL:|sqlalche\.me|\[parameters:|psycopg|scrypt:|pbkdf2:"
    r"|Failing row|DETAIL:"
)
_IDS = re.compile(
    r"\b(?:m-|tr-|d-|dr-|a-|iss-|s-|e-|bp-|ls-|rq-|g-|md-)?[0-9a-f]{32}\b|[0-9a-f]{8}-[0-9a-f-]{27}|\bmlflow-artifacts:/\S+"
)
_DIGEST = re.compile("[0-9a-f]{8}")
"""Of an evaluation dataset: the time is in it."""
_TIMES = re.compile(r"\b1[5-9]\d{11}\b|\b20\d\d-\d\d-\d\dT[0-9:.]+Z?")
_DATABASE = re.compile(
    r"(?:\(raised as a result of [^\n]*\n)?"
    r"(?:\((?:psycopg2\.errors|sqlite3|builtins)\.\w+\)|The database reported an error \().*",
    re.DOTALL,
)
"""What MLflow hands on of a database's refusal, and what our server says instead."""
_SETS = re.compile(r"[{\[]'[^{}\[\]]*'[}\]]")
"""MLflow writes a set into some refusals, in any order."""
_OF_A_USER = re.compile(r"__user_\d+__")
"""The name of a user's own role, with the user's number. Two workers that create the administrator at once take two."""
_GENERATED = re.compile(r"\b[a-z]+-[a-z]+-\d{1,4}\b")
"""The name that a run or a model gets when it is given none."""
_NAMED = {
    *("experiment_id", "artifact_location", "artifact_uri", "id", "role_id", "user_id", "experiment_ids"),
    "resource_pattern",
}
"""Fields whose numbers are the database's: they count differently where something was refused between."""


Answer = tuple[int, Any, str]
"""The status, the answer to compare, and the answer as it came."""


@dataclass
class Server:
    """A server, and what its answers have said so far."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=lambda: {"pass": ""})
    session: requests.Session = field(default_factory=requests.Session)

    def answer(self, call: Call) -> Answer:
        fields = self._filled(call.fields)
        path = self.url + call.path.format(**self.kept) if "{" in call.path else self.url + call.path
        headers = {**self.headers, **self._filled(call.headers)}
        given: dict[str, Any] = {"params": fields} if call.method == "GET" else {"json": fields}
        if call.body:
            given = {"data": call.body}
        said = self.session.request(call.method, path, headers=headers, timeout=60, **given)
        try:
            content: Any = said.json()
        except ValueError:
            content = said.text
        for name, way in call.keep.items():
            found: Any = content
            for each in way.split("."):
                found = found.get(each, "") if isinstance(found, dict) else ""
            if found:
                self.kept[name] = str(found)
        return said.status_code, self._comparable(content), said.text

    def _filled(self, value: Any) -> Any:
        match value:
            case str():
                for name, kept in self.kept.items():
                    value = value.replace("{" + name + "}", kept)
                return value
            case dict():
                return {key: self._filled(each) for key, each in value.items()}
            case list():
                return [self._filled(each) for each in value]
            case _:
                return value

    def _comparable(self, value: Any, name: str = "") -> Any:
        match value:
            case dict():
                return {self._text(key): self._comparable(each, key) for key, each in value.items()}
            case list():
                return sorted(
                    (self._comparable(each, name) for each in value), key=lambda each: json.dumps(each, sort_keys=True)
                )
            case str() if name == "digest" and _DIGEST.fullmatch(value):
                return "<digest>"
            case str() if name in _NAMED:
                return self._token(value)
            case int() if name in _NAMED and not isinstance(value, bool):
                return self._token(str(value))
            case str():
                return self._text(value)
            case int() | float():
                return "TIME" if value > 1_500_000_000_000 else value
            case _:
                return value

    def _text(self, text: str) -> str:
        if text.startswith(("{", "[")):
            try:
                return json.dumps(self._comparable(json.loads(text)))
            except ValueError:
                pass
        text = _DATABASE.sub("DATABASE", text)
        text = _SETS.sub(lambda found: str(sorted(found[0].strip("{}[]").split(", "))), text)
        text = _GENERATED.sub("<generated>", text)
        text = _OF_A_USER.sub("__user__", text)
        return _TIMES.sub("TIME", _IDS.sub(lambda found: self._token(found[0]), text))

    def _token(self, text: str) -> str:
        """By what an id was kept as, and without a number: who refuses one call more, has made one thing less."""
        named = next((name for name, kept in self.kept.items() if kept == text and len(text) > 9), "id")
        return f"<{named}>" if text not in ("", "0") else text
