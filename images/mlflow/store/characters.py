"""What PostgreSQL cannot hold, replaced: a NUL and half a surrogate pair in a text, NaN and the infinities in JSON.

What was logged is never lost for one character. In a text U+FFFD stands for it, in JSON null for the number.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

REPLACEMENT = "\ufffd"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# With a backslash before it, the same letters are harmless; then nothing is found to replace.
_ESCAPED = re.compile(r"\\u(?:0000|d[89a-f][0-9a-f]{2})")


def is_storable(text: str) -> bool:
    return _UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    """The text with U+FFFD for each character that PostgreSQL refuses."""
    return _UNSTORABLE.sub(REPLACEMENT, text)


def json_text(value: Any) -> str:
    """JSON that PostgreSQL takes and can take apart again. Raises TypeError for what JSON does not know."""
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_storable_value(value))
    return json.dumps(_storable_value(value)) if _ESCAPED.search(text) else text


def _storable_value(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            # A key may also be a number; JSON makes a text of it.
            return {_storable_value(key): _storable_value(each) for key, each in value.items()}
        case list() | tuple():
            return [_storable_value(each) for each in value]
        case _:
            return value
