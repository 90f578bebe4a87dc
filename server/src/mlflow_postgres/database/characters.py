"""What PostgreSQL cannot hold, replaced: a NUL and half a surrogate pair in a text, NaN and the infinities in JSON.

What was logged is never lost for one character. In a text U+FFFD stands for it, in JSON null for the number.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable

REPLACEMENT = "\ufffd"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_HALF = re.compile("[\ud800-\udfff]")
# With a backslash before it, the same letters are harmless; then nothing is found to replace.
_ESCAPED = re.compile(r"\\u(?:0000|d[89a-f][0-9a-f]{2})")


def is_storable(text: str) -> bool:
    return _UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    """The text with U+FFFD for each character that PostgreSQL refuses."""
    return _UNSTORABLE.sub(REPLACEMENT, text)


def json_text(value: object) -> str:
    """JSON that PostgreSQL takes and can take apart again. Raises TypeError for what JSON does not know."""
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_changed(value, storable, _finite))
    return json.dumps(_changed(value, storable, _finite)) if _ESCAPED.search(text) else text


def without_halves(value: object) -> object:
    """What JSON has said, with NUL for each half of a surrogate pair: protobuf takes that, and PostgreSQL neither."""
    return _changed(value, lambda text: _HALF.sub("\0", text), float)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _changed(value: object, of_text: Callable[[str], str], of_number: Callable[[float], float | None]) -> object:
    match value:
        case str():
            return of_text(value)
        case float():
            return of_number(value)
        case dict():
            # A key may also be a number; JSON makes a text of it.
            return {
                _changed(key, of_text, of_number): _changed(each, of_text, of_number) for key, each in value.items()
            }
        case list() | tuple():
            return [_changed(each, of_text, of_number) for each in value]
        case _:
            return value
