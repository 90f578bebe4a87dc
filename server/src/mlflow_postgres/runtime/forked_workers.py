"""Makes uvicorn fork its workers from one process that has imported MLflow. Otherwise each worker imports it again.

Four workers start in the time of one, and share the memory of the imported modules. `install` acts only in
`python -m uvicorn`, the process that `mlflow server` starts to supervise its workers.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from contract import paths

from ..replacement import replace

if TYPE_CHECKING:
    from uvicorn.supervisors.multiprocess import Process

SECRET_KEY = Path(paths.SECRETS, paths.SECRET_KEY)


def install() -> None:
    if sys.orig_argv[1:3] != ["-m", "uvicorn"]:
        return
    # Not at the top: every command of the image runs this module, and only uvicorn needs these.
    import multiprocessing

    import uvicorn._subprocess
    import uvicorn.supervisors.multiprocess

    from ..metrics import server

    # uvicorn creates its workers with `_subprocess.spawn` only.
    context = multiprocessing.get_context("forkserver")
    # Workers do not import these modules again, so no import may read a secret: workers would keep an old value.
    # The order matters: metrics.requests must replace its functions before preloaded imports MLflow.
    context.set_forkserver_preload(["mlflow_postgres.metrics.requests", "mlflow_postgres.runtime.preloaded"])
    replace(uvicorn._subprocess, spawn=context)
    replace(uvicorn.supervisors.multiprocess.Process, _healthcheck=health_check)
    # Before the first worker, which inherits the environment.
    server.serve()
    if SECRET_KEY.exists():
        threading.Thread(target=renew_workers, args=(SECRET_KEY, 1.0), daemon=True).start()


def health_check(worker: "Process", timeout: float) -> bool | None:
    """Whether a worker has finished its startup; None if it does not answer in time, or has ended.

    uvicorn's own goes on waiting when the worker is killed before it answers. Until the timeout (Dockerfile) nothing
    replaces the worker, and uvicorn handles no signal.
    """
    # Not at the top either.
    from multiprocessing.connection import wait

    try:
        worker.parent_conn.send(b"ping")
        if worker.parent_conn in wait([worker.parent_conn, worker.process.sentinel], timeout):
            return bool(worker.parent_conn.recv())
    except (OSError, EOFError):
        pass
    return None


def renew_workers(secret_key: Path, pause: float) -> None:
    """Make uvicorn replace its workers, one after the other, when the key changes. Checks every `pause` seconds.

    Workers read this secret once, at their start. On SIGHUP uvicorn starts a new worker before it stops the old one, so
    no request waits. Its default limit of 5 seconds is too short for a worker to start; the Dockerfile raises it.
    """
    known = secret_key.read_bytes()
    while True:
        time.sleep(pause)
        try:
            found = secret_key.read_bytes()
        except OSError:
            continue
        # Until uvicorn has set its handler, SIGHUP would end this process.
        if found == known or not callable(signal.getsignal(signal.SIGHUP)):
            continue
        known = found
        print("serve: the secret key has changed; workers are replaced one after the other", file=sys.stderr)
        os.kill(os.getpid(), signal.SIGHUP)
