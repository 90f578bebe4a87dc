"""Says whether the application in front of MLflow answers calls, and with `metrics: true` which share of each route."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from . import schema
from .check import Verdict, ok
from .subject import NotTried, Subject

_TIMEOUT = 5
"""Seconds. A scrape takes a hundredth of this."""
_SHOWN = 10
"""Routes in the line, the busiest ones."""
_API = "/mlflow/"
"""In the route of every call of the API, after the part that tells clients from browsers."""

_REVISION = "SELECT version_num FROM public.alembic_version"
_SAMPLE = re.compile(
    r'^(mlflow_(?:http|application)_requests)_total\{.*\broute="([^"]*)".*\} (\S+)$', flags=re.MULTILINE
)


def check(subject: Subject) -> Verdict:
    """The application was compared with this version of MLflow and this schema, or MLflow answers every call."""
    wanted = schema.required(subject)
    found = subject.query(_REVISION).split()
    if aside := standing_aside(wanted.mlflow, wanted.compared, found):
        return ok(aside)
    url = subject.outputs.get("mlflow_metrics_url")
    if url is None:
        return ok("it answers the most frequent calls")
    return ok(shares(_get(str(url))))


def standing_aside(mlflow: str, compared: Sequence[str], found: Sequence[str]) -> str:
    """Why the application answers no call. Empty if it does."""
    if found and set(found) <= set(compared):
        return ""
    schemas = ", ".join(found) or "nothing"
    return (
        f"it stands aside and MLflow answers every call: it was not compared with MLflow {mlflow} and schema {schemas}"
    )


def shares(metrics: str) -> str:
    """The share that the application answered, of all calls and of the busiest routes, from MLflow's metrics."""
    counts: dict[str, Counter[str]] = {"mlflow_http_requests": Counter(), "mlflow_application_requests": Counter()}
    for name, route, value in _SAMPLE.findall(metrics):
        _, is_api, call = route.partition(_API)
        if is_api:
            counts[name][call] += int(float(value))
    requests, ours = counts.values()
    if not requests:
        return "nobody has called the API since MLflow started"
    routes = [f"{call} {_percent(ours[call], count)} of {count:,}" for call, count in requests.most_common(_SHOWN)]
    return f"it answered {_percent(ours.total(), requests.total())} of {requests.total():,} calls: {', '.join(routes)}"


def _percent(part: int, whole: int) -> str:
    # Rounded down: 100% are all.
    return f"{100 * part // whole}%"


def _get(url: str) -> str:
    """The text at a URL. Raises `NotTried`."""
    where = urlsplit(url)
    connection = HTTPConnection(str(where.hostname), where.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", where.path or "/")
        answer = connection.getresponse()
        text = answer.read().decode()
    except (OSError, HTTPException) as error:
        raise NotTried(f"{url} gave no metrics: {error or type(error).__name__}") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise NotTried(f"{url} gave no metrics: it answered {answer.status}")
    return text
