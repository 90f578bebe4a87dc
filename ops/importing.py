"""Bring the runs of another store along: in a container like the schema job's, which sees the store read-only."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import docker
from docker.errors import DockerException
from docker.models.containers import Container
from requests import RequestException

from contract import import_events, labels, locations, paths, roles
from contract.errors import UserError
from contract.import_events import Committed, Committing, Event, Note
from contract.locations import Locations
from preflight.engine import open_engine

from . import helpers, job, objects
from .places import Places, places
from .sources import Source, in_words, recognised
from .stack import not_running, prefix, short_name

ROLE = roles.IMPORT

# Root there may read the files of whoever started this, and do nothing else; the work is done as the server's user.
_RIGHTS = ["DAC_READ_SEARCH", "SETUID", "SETGID"]


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `python -m ops import`."""
    command.add_argument(
        "source",
        help="where the old MLflow kept its runs: a SQLite file, a folder, or postgresql://user@host:port/database",
    )
    command.add_argument("--dry-run", action="store_true", help="only say what would come, and change nothing")
    command.add_argument(
        "--clash",
        choices=["refuse", "skip", "rename"],
        default="refuse",
        help="what to do with an experiment or a model whose name is taken (refuse)",
    )
    command.add_argument(
        "--artifacts",
        choices=["copy", "leave"],
        help="copy artifacts that are beside the store, or leave them where they are (copy, if there are any)",
    )
    command.add_argument(
        "--artifacts-from",
        action="append",
        default=[],
        metavar="PATH",
        help="copy artifacts that are in this folder, too, or below it; may be given more than once",
    )
    command.add_argument(
        "--users",
        metavar="SOURCE",
        help="bring the users of this sign-in database (basic_auth.db, postgresql://…) along, with what they may do",
    )


def run(options: argparse.Namespace) -> None:
    """Import a store. Raises `UserError` when that is refused or fails, which says what is known of the database."""
    # Not needed by any other command, and `pulumi up` waits for one of them every time.
    from . import databases
    from .import_progress import Progress

    if not options.source:
        raise UserError(
            "source-not-named",
            "SOURCE is empty",
            rule="it must name the old store",
            remedy="make import SOURCE=mlflow.db",
        )
    people = None
    if options.users and not databases.is_address(options.users):
        people = _people(options.users)
    kept = None if databases.is_address(options.source) else recognised(options.source)
    with _engine(options) as engine:
        its_job = job.find(engine, options.stack)
        volume = _artifacts_volume(engine, options.stack)
        with TemporaryDirectory(prefix="mlflow-postgres-import-") as scratch, Progress() as progress:
            source = kept or databases.rows_of(options.source, Path(scratch, "store"), progress.show)
            if options.users and not people:
                # One database may have both.
                same = options.users == options.source
                people = source if same else databases.rows_of(options.users, Path(scratch, "users"), progress.show)
            allowed, found = _places(source, options)
            container = _made(engine, its_job, options, source, people, found, allowed, volume, Path(scratch))
            try:
                _follow(container, progress.show)
            except (DockerException, RequestException) as error:
                raise UserError(
                    "import-outcome-unknown",
                    f"the Docker engine went away during the import ({error})",
                    rule="it is not known whether it was committed",
                    remedy="make up, then the import again, which says so",
                ) from error
            finally:
                # Its copy of the store is in a volume without a name, which goes with it, at the next import at last.
                with suppress(DockerException, RequestException):
                    container.remove(force=True, v=True)


@contextmanager
def _engine(options: argparse.Namespace) -> Iterator[docker.DockerClient]:
    """The engine, with the stack to oneself; who only asks what would come needs no turn."""
    engine = open_engine()
    try:
        if options.dry_run:
            yield engine
            return
        again = f"make import STACK={short_name(options.stack)} SOURCE={options.source}"
        with helpers.alone(engine, options.stack, ROLE, waits=True, again=again):
            yield engine
    finally:
        engine.close()


def _people(given: str) -> Source:
    """The sign-in database. Raises `UserError` when it is no file of SQLite's."""
    source = recognised(given)
    if source.is_folder:
        raise UserError(
            "users-not-a-file", f"{source.path} is a folder", remedy='make import IMPORT="--users basic_auth.db"'
        )
    return source


def _places(source: Source, options: argparse.Namespace) -> tuple[list[Path], Places]:
    """The folders beside the store's that artifacts may be copied from, and where they are."""
    if options.artifacts == "leave":
        return [], Places()
    allowed = [_allowed(each) for each in options.artifacts_from]
    found = places(source, allowed)
    for line in _what_stays(found):
        print(line, flush=True)
    if options.artifacts == "copy" and not found.taken:
        raise UserError(
            "artifacts-not-found",
            f"none of the artifact locations in {source.called} is a folder that may be copied from",
            remedy='make import IMPORT="--artifacts leave", or IMPORT="--artifacts-from PATH"',
        )
    return allowed, found


def _allowed(given: str) -> Path:
    """A folder that artifacts may be copied from. Raises `UserError` when it is none."""
    with in_words():
        path = Path(given).expanduser().resolve()
        if not path.is_dir():
            raise UserError(
                "artifacts-not-a-folder", f"{path} is not a folder", remedy='make import IMPORT="--artifacts-from PATH"'
            )
        return path


def _what_stays(found: Places) -> Iterator[str]:
    """Which artifact locations on this machine are left as they are."""
    if found.outside:
        yield (
            f"{len(found.outside):,} artifact location(s) outside of the store's folder stay where they are, such as "
            f"{_shown(next(iter(found.outside)))}. To copy them, too, name a folder at or above them: "
            'make import IMPORT="--artifacts-from PATH"'
        )
    if found.empty:
        yield (
            f"{len(found.empty):,} artifact location(s) have no folder where one would be: they are taken for empty "
            f"and get the server's address, such as {_shown(found.empty[0])}. If their files are elsewhere, put them "
            "there first"
        )
    if found.missing:
        yield (
            f"{len(found.missing):,} artifact location(s) are no folder here, or say '..': their addresses stay as "
            f"they are, such as {_shown(found.missing[0])}"
        )


def _shown(text: object) -> str:
    """What a store says, without what a terminal might obey."""
    return "".join(each if each.isprintable() else "?" for each in str(text))


def _artifacts_volume(engine: docker.DockerClient, stack: str) -> str:
    """Where the server keeps artifacts. Raises `UserError` when it or its database does not run."""
    running = {
        objects.label(each, labels.ROLE): each
        for each in objects.containers(engine, prefix(stack))
        if objects.label(each, labels.KIND) == labels.SERVICE and each.status == "running"
    }
    for role in (roles.POSTGRES, roles.MLFLOW):
        if role not in running:
            raise not_running(role, stack)
    return next(
        str(mount["Name"]) for mount in running["mlflow"].attrs["Mounts"] if mount.get("Destination") == paths.ARTIFACTS
    )


def _made(
    engine: docker.DockerClient,
    its_job: Container,
    options: argparse.Namespace,
    source: Source,
    people: Source | None,
    found: Places,
    allowed: Sequence[Path],
    volume: str,
    scratch: Path,
) -> Container:
    seen = {source.mounted: paths.IMPORT_SOURCE}
    if people:
        seen.setdefault(people.mounted, paths.IMPORT_USERS)
    for number, folder in enumerate(allowed):
        seen.setdefault(folder, f"{paths.IMPORT_FOLDERS}/{number}")
    command = ["import-runs", "--shown", source.called, "--clash", options.clash, "--locations", paths.IMPORT_LOCATIONS]
    command += ["--file", source.file] if source.file else []
    command += ["--rows-only"] if source.rows_only else []
    command += ["--users", _seen_as(people.path, seen)] if people else []
    command += ["--users-rows-only"] if people and people.rows_only else []
    command += ["--dry-run"] if options.dry_run else []
    command += ["--leave-artifacts"] if options.artifacts == "leave" else []
    # Not in the command: those of some thousand experiments are longer than one may be.
    located = scratch / "locations.json"
    folders = {location: _seen_as(folder, seen) for location, folder in found.taken.items()}
    located.write_text(locations.dump(Locations(folders=folders, empty=found.empty)))
    seen[located] = paths.IMPORT_LOCATIONS
    return job.make(
        engine,
        its_job,
        command,
        ROLE,
        by=ROLE,
        changes=not options.dry_run,
        User="0:0",
        CapAdd=_RIGHTS,
        Mounts=[
            *(its_job.attrs["HostConfig"].get("Mounts") or []),
            {"Type": "volume", "Source": volume, "Target": paths.ARTIFACTS},
            *({"Type": "bind", "Source": str(path), "Target": at, "ReadOnly": True} for path, at in seen.items()),
        ],
    )


def _seen_as(folder: Path, seen: Mapping[Path, str]) -> str:
    """What a folder is called in the container."""
    return next(
        str(Path(at, folder.relative_to(path))) for path, at in seen.items() if path in (folder, *folder.parents)
    )


def _follow(container: Container, show: Callable[[Event], None]) -> None:
    """Show what it says until it ends. Raises `UserError` with its last words if that is not well."""
    container.start()
    try:
        for line in _lines(container.logs(stream=True, follow=True, stderr=False)):
            show(_event(line))
    except KeyboardInterrupt:
        # Whoever stops it wants to know whether it was in time.
        container.stop(timeout=0)
    code = container.wait()["StatusCode"]
    if code:
        # Read once more: what followed it may have missed the end.
        said = {type(_event(line)) for line in _lines(iter([container.logs(stderr=False)]))}
        last = container.logs(stdout=False).decode(errors="replace").strip().splitlines()
        raise _failure(code, said, _shown(last[-1]).removeprefix("import: ") if last else "")


def _failure(code: int, said: Collection[type[Event]], last: str) -> UserError:
    """What is known of an import that failed, by its events and its last line."""
    if Committed in said:
        return UserError(
            "import-committed",
            f"the import was committed, and all of it is there; what is done after that ended with exit code {code}",
        )
    if code in (1, 64) and last:
        return UserError("import-failed", last)
    # What ended it from outside left it no time for a word.
    if Committing in said:
        return UserError(
            "import-outcome-unknown",
            f"the import was cut short with exit code {code} while it was being committed",
            rule="it is not known whether it was",
            remedy="the import again, which says so",
        )
    return UserError(
        "import-cut-short",
        f"the import was cut short with exit code {code}; nothing was changed",
        remedy="the import again",
    )


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Whole lines of what comes in pieces."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if rest:
        yield rest.decode(errors="replace")


def _event(line: str) -> Event:
    event = import_events.parse(line)
    return Note(note=_shown(event.note)) if isinstance(event, Note) else event
