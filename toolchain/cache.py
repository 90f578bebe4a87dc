"""The cache: where builds are stored, their keys, and the manifests that show that they are complete."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from toolchain.progress import Failure, say


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The project's cache folder. `bin/pulumi` uses the same path."""
    home = environment.get("HOME") or os.path.expanduser("~")
    return Path(environment.get("XDG_CACHE_HOME") or f"{home}/.cache") / "mlflow-postgres"


def key_of(parts: Iterable[str | Path]) -> str:
    """A hash of the inputs. It changes when a text, a file's content or a file's name in a folder changes.

    The folder's own path does not count, so two checkouts share their builds.
    """
    digest = hashlib.sha256()

    def add(data: bytes) -> None:
        # With its length, because ("ab", "c") and ("a", "bc") must have different keys.
        digest.update(len(data).to_bytes(8, "big") + data)

    for part in parts:
        if isinstance(part, str):
            add(part.encode())
            continue
        files = sorted(path for path in part.rglob("*") if path.is_file()) if part.is_dir() else [part]
        for path in files:
            add(str(path.relative_to(part.parent)).encode())
            add(path.read_bytes())
    return digest.hexdigest()[:16]


def write_manifest(manifest: Path, root: Path, files: Iterable[Path]) -> None:
    """Record the present state of `files`. Write it last: a manifest shows that its files are complete."""
    entries = {}
    for path in files:
        stat = path.stat()
        entries[str(path.relative_to(root))] = {
            "size": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
            "sha256": _sha256(path),
        }
    _write_atomically(manifest, json.dumps(entries, indent=1, sort_keys=True))


def broken_file(manifest: Path, root: Path) -> str | None:
    """The first file that differs from the manifest, or None. Costs one stat per file unless a time has changed.

    Without a manifest it returns an empty name: no build was completed. A file with a new time and the old content is
    valid, and its time in the manifest is updated.
    """
    try:
        entries = json.loads(manifest.read_text())
        touched = False
        for name, entry in entries.items():
            path = root / name
            if not path.is_file() or not os.access(path, os.X_OK) or path.stat().st_size != entry["size"]:
                return str(name)
            if path.stat().st_mtime_ns != entry["mtime_ns"]:
                if _sha256(path) != entry["sha256"]:
                    return str(name)
                entry["mtime_ns"] = path.stat().st_mtime_ns
                touched = True
    except FileNotFoundError:
        return ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return manifest.name
    if touched:
        _write_atomically(manifest, json.dumps(entries, indent=1, sort_keys=True))
    return None


def replace_link(link: Path, target: str) -> None:
    """Atomically make `link` a symbolic link to `target`, which is relative to it."""
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    fresh.replace(link)


@contextmanager
def exclusive_lock(cache: Path) -> Iterator[None]:
    """Hold the cache's lock. A second run prints a line and waits. The kernel releases the lock with the process."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = open(cache / "lock", "a+", encoding="utf-8")  # noqa: SIM115 - closed below, after the work
    except OSError as error:
        raise Failure(
            "cache-not-writable",
            f"writing to the cache {cache}",
            "chmod u+rwx on that folder, or set XDG_CACHE_HOME",
            str(error),
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            say(f"another run (process {lock.read().strip() or 'unknown'}) is running; waiting for its end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        lock.truncate()
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


@contextmanager
def scratch(cache: Path, name: str) -> Iterator[Path]:
    """A temporary folder on the cache's own disk, so that a finished file can be moved to its place."""
    (cache / "tmp").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=cache / "tmp"))
    try:
        yield folder
    finally:
        remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Delete a folder. Raises Failure if something is mounted in it: a killed debootstrap may leave /proc there."""
    if mounts := mounts_below(folder, Path("/proc/self/mounts")):
        raise Failure(
            "cache-mounted",
            f"deleting {folder}",
            f"umount {' '.join(mounts)}, then run this again",
            "mounts are left in it",
        )
    shutil.rmtree(folder, ignore_errors=True)


def mounts_below(folder: Path, table: Path) -> list[str]:
    """Mount points inside `folder`, innermost first. Empty if the system has no such table."""
    try:
        lines = table.read_text().splitlines()
    except FileNotFoundError:
        return []
    # The table writes a space as \\040.
    points = [re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), line.split()[1]) for line in lines]
    inside = f"{folder.resolve()}/"
    return sorted((point for point in points if point.startswith(inside)), reverse=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_atomically(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.replace(path)
