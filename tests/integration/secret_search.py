"""Search for a secret in all that the engine, the process list and the state show."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from .harness import Deployment


def process_list() -> dict[str, str]:
    """Arguments and environment of every process on this machine, those inside containers included."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        for what in ("cmdline", "environ"):
            try:
                found[f"process {folder.name} {what}"] = (folder / what).read_bytes().decode(errors="replace")
            except OSError:
                # It ended in the meantime.
                continue
    return found


class ProcessWatch:
    """Reads the process list every 0.2 s while a command runs."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> ProcessWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            for text in process_list().items():
                self.seen.setdefault(f"{text[0]} {hash(text[1])}", text[1])


def engine_shows(stack: Deployment) -> dict[str, str]:
    """The output of `docker inspect`, `logs`, `top` and `history` for every object of the stack."""
    found: dict[str, str] = {}
    for kind, names in stack.objects().items():
        for name in names:
            match kind:
                case "containers":
                    container = stack.engine.containers.get(name)
                    found[f"docker inspect {name}"] = json.dumps(container.attrs)
                    found[f"docker logs {name}"] = container.logs().decode(errors="replace")
                    found[f"docker top {name}"] = json.dumps(container.top()) if container.status == "running" else ""
                case "images":
                    found[f"docker inspect {name}"] = json.dumps(stack.engine.images.get(name).attrs)
                    found[f"docker history {name}"] = json.dumps(stack.engine.images.get(name).history())
                case "networks":
                    found[f"docker inspect {name}"] = json.dumps(stack.engine.networks.list(names=[name])[0].attrs)
                case "volumes":
                    found[f"docker inspect {name}"] = json.dumps(stack.engine.volumes.get(name).attrs)
    return found


def state_files(stack: Deployment) -> dict[str, str]:
    """Every file of the stack's local state but the passphrase itself: checkpoints, their copies, history, locks."""
    files = (path for path in stack.state.rglob("*") if path.is_file() and path.name != "passphrase")
    return {f"state {path.relative_to(stack.state)}": path.read_text(errors="replace") for path in files}


def places_with(secret: str, *places: dict[str, str]) -> set[str]:
    """The places that contain the secret."""
    assert len(secret) >= 16, "a short secret is found by accident"
    return {place for each in places for place, text in each.items() if secret in text}


@contextmanager
def watched_processes() -> Iterator[dict[str, str]]:
    """Every process that runs during the block."""
    with ProcessWatch() as watch:
        yield watch.seen
