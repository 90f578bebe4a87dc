"""A worker of uvicorn's that is forked. Only the process that supervises the workers, and its workers, import this."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import wait
from socket import socket

from uvicorn import Config
from uvicorn._subprocess import subprocess_started
from uvicorn.supervisors.multiprocess import Process

context = multiprocessing.get_context("forkserver")


class Worker(Process):
    def __init__(self, config: Config, sockets: list[socket]) -> None:
        # uvicorn's own is not started.
        super().__init__(config, sockets)
        arguments = {"config": config, "target": self.target, "sockets": sockets, "stdin_fileno": None}
        self.process = context.Process(target=subprocess_started, kwargs=arguments)  # type: ignore[assignment]  # uvicorn names the class of another start method

    def _healthcheck(self, timeout: float) -> bool | None:
        """Whether the worker has finished its startup; None if it does not answer in time, or has ended.

        uvicorn's own goes on waiting when the worker is killed before it answers. Until the timeout (Dockerfile)
        nothing replaces the worker, and uvicorn handles no signal.
        """
        try:
            self.parent_conn.send(b"ping")
            if self.parent_conn in wait([self.parent_conn, self.process.sentinel], timeout):
                return bool(self.parent_conn.recv())
        except (OSError, EOFError):
            pass
        return None
