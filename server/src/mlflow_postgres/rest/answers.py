"""JSON from PostgreSQL as the body of an answer."""

from __future__ import annotations

import json
import re

EMPTY = b"{}"

_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


def ascii_json(body: bytes) -> bytes:
    """JSON with escapes for all that is not ASCII, as MLflow writes it: a client that is told no encoding may guess."""
    if body.isascii():
        return body
    return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], body.decode()).encode()


def numbers(metrics: bytes) -> bytes:
    """Values of a history that is written by `json_build_object`."""
    # PostgreSQL writes -0, which other readers take for an integer. No text contains an unescaped quote.
    return metrics.replace(b'"value" : -0, ', b'"value" : -0.0, ')


MODELS = (b'"model_inputs":', b'"model_outputs":')
"""Fields of a run that name logged models. No text contains an unescaped quote, so nothing else contains these."""


def run(
    info: bytes,
    metrics: bytes,
    params: bytes,
    tags: bytes,
    datasets: bytes,
    model_outputs: bytes,
    model_inputs: bytes = b"",
) -> bytes:
    """A run. What it does not have is empty."""
    data = []
    if metrics:
        # PostgreSQL writes -0, which other readers take for an integer. No text contains an unescaped quote.
        data.append(b'"metrics":' + metrics.replace(b'"value":-0,', b'"value":-0.0,'))
    if params:
        data.append(b'"params":' + params)
    if tags:
        # A tag without a value has no such field.
        data.append(b'"tags":' + tags.replace(b',"value":null}', b"}"))
    inputs = []
    if datasets:
        inputs.append(b'"dataset_inputs":' + datasets)
    if model_inputs:
        inputs.append(b'"model_inputs":' + model_inputs)
    outputs = b'"model_outputs":' + model_outputs if model_outputs else b""
    return b'{"info":%b,"data":{%b},"inputs":{%b},"outputs":{%b}}' % (info, b",".join(data), b",".join(inputs), outputs)
