"""A call of the API, as a client makes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

V2, V3 = "/api/2.0/mlflow", "/api/3.0/mlflow"


@dataclass(frozen=True)
class Call:
    """A request. `{name}` in its path and its fields is what an earlier answer said, by `keep`."""

    method: str
    path: str
    fields: dict[str, Any] = field(default_factory=dict)
    keep: dict[str, str] = field(default_factory=dict)
    """What of the answer later calls use: a name, and the way to it through the answer."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    """Instead of the fields."""

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def get(path: str, /, **fields: Any) -> Call:
    return Call("GET", path, fields)


def post(path: str, fields: dict[str, Any], **keep: str) -> Call:
    return Call("POST", path, fields, keep)


def patch(path: str, fields: dict[str, Any]) -> Call:
    return Call("PATCH", path, fields)


def delete(path: str, /, **fields: Any) -> Call:
    return Call("DELETE", path, fields)
