"""One value of a history, as the text of a statement over `metrics`: a history may have a million of them."""

from __future__ import annotations

from typing import Final

import msgspec

# JSON has no words for what is not finite.
_VALUE: Final = """
CASE WHEN is_nan THEN '"NaN"' WHEN abs(value) < 'Infinity' THEN value::text ELSE to_json(value)::text END
"""
VALUE: Final = f"""%(head)s::text || {_VALUE} || ', "timestamp" : ' || timestamp || ', "step" : ' || step || '}}'"""
VALUE_OF_RUN: Final = VALUE.removesuffix("'}'") + """', "run_id" : "' || run_uuid || '"}'"""
"""The id of a run that was asked for needs no escapes."""


def head(key: str) -> str:
    """The parameter of the same name."""
    return '{"key" : ' + msgspec.json.encode(key).decode() + ', "value" : '
