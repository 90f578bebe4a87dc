"""`python -m ops <command>`: work on a stack, beside `pulumi up` and `pulumi destroy`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable

from contract.errors import UserError

from . import docker_runtime, doctor, forget, importing, logs, pin, psql, recover, rollback, volumes
from .runtime import Connect, GoneError

Command = Callable[[argparse.Namespace, Connect], int | None]
"""Carries a command out. Returns the exit code; None is 0."""

COMMANDS: dict[str, tuple[Command, str]] = {
    "recover": (recover.run, "repair what an interrupted run left: its lock, its objects on the engine"),
    "forget": (forget.run, "remove the containers and networks of a stack whose state is lost; its volumes stay"),
    "kept": (volumes.run, "list the volumes of a destroyed stack, and print how to delete them"),
    "doctor": (doctor.run, "check the stack; exit code 0 for ok, 1 for a warning, 2 for broken"),
    "psql": (psql.run, "open a shell in the database"),
    "logs": (logs.run, "print the services' logs"),
    "rollback": (rollback.run, "restore the database and the version of MLflow from before an upgrade"),
    "import": (importing.run, "import the runs of another store: a SQLite file, a folder such as mlruns, a PostgreSQL"),
    "pin": (pin.run, "write the current digests of the base images into the stack's configuration"),
    "explain": (logs.explain, "print the last log lines of the services that are not healthy"),
}


def main(arguments: list[str], connect: Connect = docker_runtime.connect) -> int:
    """Run one command; its exit code. An error is one line on standard error and exit code 1."""
    options = _parser().parse_args(arguments)
    try:
        return COMMANDS[options.command][0](options, connect) or 0
    except UserError as error:
        print(f"ops {options.command}: {error.report}", file=sys.stderr)
        return 1
    except GoneError as error:
        print(f"ops {options.command}: {error}; run it again", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader has closed the pipe, as `head` does. Python would write once more as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        print(f"ops {options.command}: {error.filename or 'this machine'}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ops", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, (_, purpose) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        command.add_argument("--stack", required=True, help="the stack's name, such as dev")
        if name == "recover":
            command.add_argument("--before", default="refresh", help="what runs next: preview, up, destroy or refresh")
        if name == "rollback":
            command.add_argument("--list", action="store_true", help="only list the dumps")
            command.add_argument("--dump", help="restore this dump instead of the newest one made before an upgrade")
            command.add_argument("--to", help="the version of MLflow for a dump that does not name one")
        if name == "doctor":
            command.add_argument("--json", action="store_true", help="print JSON, for a program")
        if name == "import":
            importing.add_arguments(command)
        if name == "logs":
            command.add_argument("--follow", action="store_true", help="go on with new lines")
    return parser


def _interrupt(*_: object) -> None:
    """Act like Ctrl-C, once. A second signal must not interrupt the clean-up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    if sys.argv[1:2] == ["import"]:
        # An import must remove its copy of the store. Not for other commands: they would kill a Pulumi that they run.
        signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main(sys.argv[1:]))
