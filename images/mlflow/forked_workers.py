"""Workers that are forked from one process which has imported MLflow, where uvicorn would let each import it anew.

Four workers start in the time of one, and share the memory of what was imported. Every Python of the image loads this
module through a .pth file; it does something in `python -m uvicorn` alone, which is how `mlflow server` starts it.
"""

import sys
from typing import Any


def install() -> None:
    # Not above: every Python of the image comes by here, the probe's every few seconds too.
    import multiprocessing

    # Its `spawn` is uvicorn's one place where it chooses how its workers are made.
    import uvicorn._subprocess

    context: Any = multiprocessing.get_context("forkserver")
    # What this module imports is never imported again, by no worker: secrets are not to be read at an import.
    # The first one changes what MLflow finds while the second imports it.
    context.set_forkserver_preload(["request_metrics", "preloaded"])
    uvicorn._subprocess.spawn = context
    # Not above, for the same reason; before the first worker, which takes over the environment.
    import metrics_server  # type: ignore[import-not-found]  # it lies beside this one in the image

    metrics_server.serve()


if sys.orig_argv[1:3] == ["-m", "uvicorn"]:
    install()
