"""What a client sends as JSON, with NUL for half of a surrogate pair: it is replaced, or refused in a name, as NUL is.

protobuf refuses such a text. MLflow then goes on with what it had read before it, so the rest of the message is lost,
and the answer is 200 all the same.
"""

from __future__ import annotations

import re

from flask.json.provider import DefaultJSONProvider
from mlflow.server import app

from ..database import characters

# JSON from Python escapes what is not ASCII, so whole pairs are found as well, and stay as they are.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Provider(DefaultJSONProvider):
    """Flask's own, which is the one door that every JSON body comes in by."""

    def loads(self, s: str | bytes, **kwargs: object) -> object:
        value: object = super().loads(s, **kwargs)
        if _SURROGATE.search(s if isinstance(s, str) else s.decode(errors="replace")):
            return characters.without_halves(value)
        return value


def install() -> None:
    app.json = Provider(app)
