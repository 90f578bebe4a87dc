"""Types of the calls' arguments. They accept less than MLflow does: MLflow gets every call that does not fit."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from mlflow.utils import validation

from .errors import NotServed

RunId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Za-z][0-9A-Za-z_-]{0,31}\Z")]
TraceId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Za-z][0-9A-Za-z_-]{0,49}\Z")]
ExperimentId = Annotated[str, msgspec.Meta(pattern=r"\A(0|[1-9][0-9]{0,8})\Z")]
"""An id as MLflow writes it. A 32-bit integer in the database."""
Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Number = float | Literal["NaN", "Infinity", "-Infinity"]
"""A metric's value. JSON has no word for these three."""
Name = Annotated[str, msgspec.Meta(min_length=1)]
Version = Annotated[str, msgspec.Meta(pattern=r"\A[1-9][0-9]{0,8}\Z")]
"""Of a registered model, as MLflow writes it. A 32-bit integer in the database."""


class Arguments(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What a call asks for."""


class Tag(Arguments):
    """A tag of a run."""

    key: str
    value: str = ""


class OfRun(Arguments, kw_only=True):
    """What a call asks of one run. MLflow's clients send its id twice."""

    run_id: RunId
    run_uuid: str | None = None

    def check(self) -> None:
        """Raise `NotServed` for two different ids."""
        if self.run_uuid is not None and self.run_uuid != self.run_id:
            raise NotServed


class OfTrace(Arguments, kw_only=True):
    """What a call asks of the trace that its path names. Some clients send its id as well."""

    trace_id: TraceId | None = None
    request_id: str | None = None
    """Its name in version 2 of the API."""

    def place(self, trace_id: str) -> None:
        """Take the id of the path. Raise `NotServed` for two different ids."""
        if any(given not in (None, trace_id) for given in (self.trace_id, self.request_id)):
            raise NotServed
        self.trace_id = trace_id


def check_key(key: str) -> None:
    """Raise `NotServed` for a name that MLflow rejects for a metric, a parameter or a tag."""
    if not _is_valid(key):
        raise NotServed


@functools.lru_cache(maxsize=10_000)
def _is_valid(key: str) -> bool:
    return (
        key != ""
        and len(key) <= validation.MAX_ENTITY_KEY_LENGTH
        and validation.validate_param_and_metric_name(key) is not None
        and not validation.path_not_unique(key)
    )


def check(validate: Callable[..., object], *values: object) -> None:
    """Raise `NotServed` for what a function of MLflow's rejects."""
    try:
        validate(*values)
    except Exception:
        raise NotServed from None
