"""Why a call is not answered here."""

from __future__ import annotations


class NotServed(Exception):
    """MLflow answers the call. Nothing of it was written."""


class Lost(Exception):
    """The connection ended during a write. The write may have happened, so nobody may repeat it unasked."""
