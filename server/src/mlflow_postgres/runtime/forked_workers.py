"""Workers that are forked from one process which has imported MLflow, where uvicorn would let each import it anew.

Four workers start in the time of one, and share the memory of what was imported. `install` does something in
`python -m uvicorn` alone, which is how `mlflow server` starts the process that supervises its workers.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from contract import paths

from ..replacement import replace

SECRET_KEY = Path(paths.SECRETS, paths.SECRET_KEY)


def install() -> None:
    if sys.orig_argv[1:3] != ["-m", "uvicorn"]:
        return
    # Not above: the schema job's commands come by here too, and need none of this.
    import multiprocessing

    import uvicorn._subprocess

    from ..metrics import server

    # Its `spawn` is uvicorn's one place where it chooses how its workers are made.
    context = multiprocessing.get_context("forkserver")
    # What these modules import is never imported again, by no worker: no secret may be read at an import.
    # The first one changes what MLflow finds while the second imports it.
    context.set_forkserver_preload(["mlflow_postgres.metrics.requests", "mlflow_postgres.runtime.preloaded"])
    replace(uvicorn._subprocess, spawn=context)
    # Before the first worker, which takes over the environment.
    server.serve()
    if SECRET_KEY.exists():
        threading.Thread(target=renew_workers, args=(SECRET_KEY, 1.0), daemon=True).start()


def renew_workers(secret_key: Path, pause: float) -> None:
    """Have uvicorn replace its workers, one after the other, whenever the key changes. Looks every `pause` seconds.

    Workers read this secret once, at their start. On a hang-up uvicorn starts a new worker before it stops the old
    one, so nobody waits. Its own limit for that, 5 seconds, is less than what a worker takes (Dockerfile).
    """
    known = secret_key.read_bytes()
    while True:
        time.sleep(pause)
        try:
            found = secret_key.read_bytes()
        except OSError:
            continue
        # Before uvicorn handles it, a hang-up would end this process.
        if found == known or not callable(signal.getsignal(signal.SIGHUP)):
            continue
        known = found
        print("serve: the secret key has changed: every worker is replaced, one after the other", file=sys.stderr)
        os.kill(os.getpid(), signal.SIGHUP)
