"""Tokens of pages, by MLflow's own functions."""

from __future__ import annotations

from mlflow.utils.search_utils import SearchUtils

from .errors import NotServed

_LAST = 2**31


def offset(token: str) -> int:
    """How many rows come before the page. Raises `NotServed` for a token that MLflow did not make."""
    if not token:
        return 0
    try:
        found = SearchUtils.parse_start_offset_from_page_token(token)
    except Exception:
        # Besides its own errors, MLflow raises others for some tokens, and answers with status 500.
        raise NotServed from None
    if not (isinstance(found, int) and 0 <= found < _LAST):
        raise NotServed
    return found


def token(rows_before: int) -> bytes:
    found: bytes = SearchUtils.create_page_token(rows_before)
    return found
