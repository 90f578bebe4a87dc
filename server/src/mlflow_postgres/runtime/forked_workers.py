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

from contract import paths

from ..replacement import replace

SECRET_KEY = Path(paths.SECRETS, paths.SECRET_KEY)


def install() -> None:
    if sys.orig_argv[1:3] != ["-m", "uvicorn"]:
        return
    # Not at the top: every command of the image runs this module, and only uvicorn needs these.
    from uvicorn.supervisors import multiprocess

    from ..metrics import server
    from . import workers

    # Workers do not import these modules again, so no import may read a secret: workers would keep an old value.
    # The order matters: metrics.requests chooses the names of the metrics' files before MLflow creates its metrics.
    workers.context.set_forkserver_preload(["mlflow_postgres.metrics.requests", "mlflow_postgres.runtime.preloaded"])
    replace(multiprocess, Process=workers.Worker)
    # Before the first worker, which inherits the environment.
    server.serve()
    if SECRET_KEY.exists():
        threading.Thread(target=renew_workers, args=(SECRET_KEY, 1.0), daemon=True).start()


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
