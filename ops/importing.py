"""Imports the runs of another store, in a container like the schema job's that mounts the store read-only."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from contract import import_events, locations, paths, roles
from contract.errors import UserError
from contract.import_events import Committed, Committing, Error, Event, Note
from contract.locations import Locations
from preflight.engine import EngineError

from . import helper_containers, schema_job
from .artifact_locations import ArtifactLocations, find_locations
from .runtime import Connect, Container, GoneError, Runtime, service
from .sources import Source, find_store, readable_errors
from .stack import not_running, prefix, short_name

ROLE = roles.IMPORT

# In the container, root may only read files of any user and change its user id. The import itself runs as the server's
# user.
_RIGHTS = ["DAC_READ_SEARCH", "SETUID", "SETGID"]


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `python -m ops import`."""
    command.add_argument(
        "source",
        help="the store of the old MLflow: a SQLite file, a folder, or postgresql://user@host:port/database",
    )
    command.add_argument("--dry-run", action="store_true", help="print what would be imported, and change nothing")
    command.add_argument(
        "--clash",
        choices=["refuse", "skip", "rename"],
        default="refuse",
        help="what to do with an experiment or a model whose name exists already (refuse)",
    )
    command.add_argument(
        "--artifacts",
        choices=["copy", "leave"],
        help="copy artifacts that are in the store's folder, or leave them where they are (copy, if there are any)",
    )
    command.add_argument(
        "--artifacts-from",
        action="append",
        default=[],
        metavar="PATH",
        help="copy artifacts from this folder too; may be used more than once",
    )
    command.add_argument(
        "--users",
        metavar="SOURCE",
        help="import the users of this sign-in database (basic_auth.db, postgresql://…) and their permissions",
    )


def run(options: argparse.Namespace, connect: Connect) -> None:
    """Import a store. Raises `UserError` if it is refused or fails; the error says whether the database was changed."""
    # Not at the top: only this command needs these imports, and every `up` waits for another command of this package.
    from . import databases
    from .import_progress import Progress

    if not options.source:
        raise UserError(
            "source-not-named",
            "SOURCE is empty",
            rule="it must name the old store",
            remedy="make import SOURCE=mlflow.db",
        )
    users = None
    if options.users and not databases.is_address(options.users):
        users = _users_file(options.users)
    local = None if databases.is_address(options.source) else find_store(options.source)
    with _runtime(options, connect) as runtime:
        job = schema_job.find(runtime, options.stack)
        volume = _artifacts_volume(runtime, options.stack)
        with TemporaryDirectory(prefix="mlflow-postgres-import-") as scratch, Progress() as progress:
            source = local or databases.rows_of(options.source, Path(scratch, "store"), progress.show)
            if options.users and not users:
                # One database may have both.
                same = options.users == options.source
                users = source if same else databases.rows_of(options.users, Path(scratch, "users"), progress.show)
            allowed, found = _locations(source, options)
            container = _create(runtime, job, options, source, users, found, allowed, volume, Path(scratch))
            try:
                _follow(runtime, container, progress.show)
            except EngineError as error:
                raise UserError(
                    "import-outcome-unknown",
                    f"the Docker engine went away during the import ({error})",
                    rule="it is not known whether it was committed",
                    remedy="make up, then the same import again, which reports it",
                ) from error
            finally:
                # Its anonymous volume has the copy of the store. If this fails, the next import removes both.
                with suppress(EngineError, GoneError):
                    runtime.discard(container)


@contextmanager
def _runtime(options: argparse.Namespace, connect: Connect) -> Iterator[Runtime]:
    """The engine, with the stack locked. A dry run changes nothing and takes no lock."""
    with closing(connect()) as runtime:
        if options.dry_run:
            yield runtime
            return
        again = f"make import STACK={short_name(options.stack)} SOURCE={options.source}"
        with helper_containers.lock_when_idle(runtime, options.stack, ROLE, waits=True, again=again):
            yield runtime


def _users_file(given: str) -> Source:
    """The sign-in database. Raises `UserError` when it is not a SQLite file."""
    source = find_store(given)
    if source.is_folder:
        raise UserError(
            "users-not-a-file", f"{source.path} is a folder", remedy='make import IMPORT="--users basic_auth.db"'
        )
    return source


def _locations(source: Source, options: argparse.Namespace) -> tuple[list[Path], ArtifactLocations]:
    """The additional folders that artifacts may be copied from, and the artifact locations."""
    if options.artifacts == "leave":
        return [], ArtifactLocations()
    allowed = [_allowed(each) for each in options.artifacts_from]
    found = find_locations(source, allowed)
    for line in _left_alone(found):
        print(line, flush=True)
    if options.artifacts == "copy" and not found.copied:
        raise UserError(
            "artifacts-not-found",
            f"none of the artifact locations in {source.display_name} is a folder that may be copied from",
            remedy='make import IMPORT="--artifacts leave", or IMPORT="--artifacts-from PATH"',
        )
    return allowed, found


def _allowed(given: str) -> Path:
    """A folder that artifacts may be copied from. Raises `UserError` when it is not a folder."""
    with readable_errors():
        path = Path(given).expanduser().resolve()
        if not path.is_dir():
            raise UserError(
                "artifacts-not-a-folder", f"{path} is not a folder", remedy='make import IMPORT="--artifacts-from PATH"'
            )
        return path


def _left_alone(found: ArtifactLocations) -> Iterator[str]:
    """One line for each group of artifact locations that are not copied."""
    if found.outside:
        yield (
            f"{len(found.outside):,} artifact location(s) outside of the store's folder stay where they are, such as "
            f"{_printable(next(iter(found.outside)))}. To copy them too, name a folder at or above them: "
            'make import IMPORT="--artifacts-from PATH"'
        )
    if found.empty:
        yield (
            f"{len(found.empty):,} artifact location(s) have no folder on this machine: they are regarded as empty "
            f"and get the server's address, such as {_printable(found.empty[0])}. If their files are elsewhere, move "
            "them there first"
        )
    if found.missing:
        yield (
            f"{len(found.missing):,} artifact location(s) are not folders of this machine, or contain '..': their "
            f"addresses are unchanged, such as {_printable(found.missing[0])}"
        )


def _printable(text: object) -> str:
    """Text of the store without control characters, which a terminal would interpret."""
    return "".join(each if each.isprintable() else "?" for each in str(text))


def _artifacts_volume(runtime: Runtime, stack: str) -> str:
    """The volume of the server's artifacts. Raises `UserError` when the server or its database does not run."""
    servers = {role: service(runtime, prefix(stack), role) for role in (roles.POSTGRES, roles.MLFLOW)}
    for role, server in servers.items():
        if server is None:
            raise not_running(role, stack)
    mlflow = servers[roles.MLFLOW]
    assert mlflow is not None
    return next(volume for volume, folder in mlflow.volumes.items() if folder == paths.ARTIFACTS)


def _create(
    runtime: Runtime,
    job: Container,
    options: argparse.Namespace,
    source: Source,
    users: Source | None,
    found: ArtifactLocations,
    allowed: Sequence[Path],
    volume: str,
    scratch: Path,
) -> Container:
    mounted = {source.mounted: paths.IMPORT_SOURCE}
    if users:
        mounted.setdefault(users.mounted, paths.IMPORT_USERS)
    for number, folder in enumerate(allowed):
        mounted.setdefault(folder, f"{paths.IMPORT_FOLDERS}/{number}")
    arguments = ["import-runs", "--shown", source.display_name, "--clash", options.clash]
    arguments += ["--locations", paths.IMPORT_LOCATIONS]
    arguments += ["--file", source.file] if source.file else []
    arguments += ["--rows-only"] if source.rows_only else []
    arguments += ["--users", _in_container(users.path, mounted)] if users else []
    arguments += ["--users-rows-only"] if users and users.rows_only else []
    arguments += ["--dry-run"] if options.dry_run else []
    arguments += ["--leave-artifacts"] if options.artifacts == "leave" else []
    # In a file: a command line is too short for the locations of thousands of experiments.
    file = scratch / "locations.json"
    folders = {location: _in_container(folder, mounted) for location, folder in found.copied.items()}
    file.write_text(locations.dump(Locations(folders=folders, empty=found.empty)))
    mounted[file] = paths.IMPORT_LOCATIONS
    return schema_job.create(
        runtime,
        job,
        arguments,
        ROLE,
        command=ROLE,
        changes=not options.dry_run,
        user="0:0",
        capabilities=_RIGHTS,
        volumes={volume: paths.ARTIFACTS},
        host_paths=mounted,
    )


def _in_container(path: Path, mounted: Mapping[Path, str]) -> str:
    """A path of this machine as the container has it."""
    return next(
        str(Path(target, path.relative_to(folder)))
        for folder, target in mounted.items()
        if folder in (path, *path.parents)
    )


def _follow(runtime: Runtime, container: Container, show: Callable[[Event], None]) -> None:
    """Show its events until it ends. Raises `UserError` if it fails."""
    runtime.start(container)
    try:
        for line in _lines(runtime.logs(container, follow=True, errors=False)):
            show(_event(line))
    except KeyboardInterrupt:
        # Continue, to report whether it was committed.
        runtime.stop(container, 0)
    code = runtime.wait(container)
    if code:
        # Read the log again: following it may have missed the end.
        events = [_event(line) for line in _lines(runtime.logs(container, errors=False))]
        last = b"".join(runtime.logs(container, output=False)).decode(errors="replace").strip().splitlines()
        raise _failure(code, events, _printable(last[-1]) if last else "")


def _failure(code: int, events: Sequence[Event], last: str) -> UserError:
    """The error of a failed import, from its events and the last line of standard error."""
    seen = {type(each) for each in events}
    if Committed in seen:
        return UserError(
            "import-committed",
            f"the import was committed and is complete; a later step ended with exit code {code}",
        )
    for event in events:
        if isinstance(event, Error):
            # Its code is a literal of the program in the container.
            return UserError(event.code, event.problem, remedy=event.remedy)
    if Committing in seen:
        return UserError(
            "import-outcome-unknown",
            f"the import was interrupted with exit code {code} during the commit",
            rule="it is not known whether it was committed",
            remedy="the same import again, which reports it",
        )
    if code in (1, 64) and last:
        # It could not start.
        return UserError("import-failed", last)
    return UserError(
        "import-cut-short",
        f"the import was interrupted with exit code {code}; nothing was changed",
        remedy="the same import again",
    )


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """The lines of a stream that comes in chunks."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if rest:
        yield rest.decode(errors="replace")


def _event(line: str) -> Event:
    match import_events.parse(line):
        case Note(note=note):
            return Note(note=_printable(note))
        case Error(code=code, problem=problem, remedy=remedy):
            return Error(code=_printable(code), problem=_printable(problem), remedy=_printable(remedy))
        case event:
            return event
