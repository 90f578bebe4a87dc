"""`python -m ops <command>`: what is done to a stack beside `pulumi up` and `pulumi destroy`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable

from contract.errors import UserError

from . import doctor, forget, importing, kept, logs, objects, pin, psql, recover, rollback

Command = Callable[[argparse.Namespace], int | None]
"""What carries a command out; its exit code, None for 0."""

COMMANDS: dict[str, tuple[Command, str]] = {
    "recover": (recover.run, "mend what an interrupted run left: its lock, its objects on the engine"),
    "forget": (forget.run, "remove the containers and networks of a stack whose state is lost; its volumes stay"),
    "kept": (kept.run, "name the volumes that a destroyed stack left, and how to delete them"),
    "doctor": (doctor.run, "say what is healthy and what is not; exit code 0 for ok, 1 for a warning, 2 for broken"),
    "psql": (psql.run, "open a shell in the database"),
    "logs": (logs.run, "print the services' logs"),
    "rollback": (rollback.run, "put back the database as it was before an upgrade, and MLflow's version of then"),
    "import": (importing.run, "bring the runs of another store along: a SQLite file, or a folder such as mlruns"),
    "pin": (pin.run, "write the digests that the base images have now into the stack's configuration"),
    "explain": (logs.explain, "print the last words of the services that are not well"),
}


def main(arguments: list[str]) -> int:
    """Run one command; its exit code. Errors are one line on standard error and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m ops", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, (_, purpose) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        command.add_argument("--stack", required=True, help="the stack's name, such as dev")
        if name == "recover":
            command.add_argument(
                "--before", default="refresh", help="what is run next: preview, up, destroy or refresh"
            )
        if name == "rollback":
            command.add_argument("--list", action="store_true", help="only show what there is to go back to")
            command.add_argument("--dump", help="go back to this dump instead of the newest one made before an upgrade")
            command.add_argument("--to", help="the version of MLflow that goes with a dump that does not say")
        if name == "doctor":
            command.add_argument("--json", action="store_true", help="for a program")
        if name == "import":
            importing.add_arguments(command)
        if name == "logs":
            command.add_argument("--follow", action="store_true", help="go on with what is yet to come")
    options = parser.parse_args(arguments)
    try:
        return COMMANDS[options.command][0](options) or 0
    except UserError as error:
        print(f"ops {options.command}: {error.report}", file=sys.stderr)
        return 1
    except objects.ENGINE_ERRORS as error:
        print(f"ops {options.command}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Who read it has had enough, as `head` has. Python would try once more as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        print(f"ops {options.command}: {error.filename or 'this machine'}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _interrupt(*_: object) -> None:
    """What Ctrl-C does, once: who is told to end often gets told twice, and is tidying up by then."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    if sys.argv[1:2] == ["import"]:
        # So that no copy of the store stays. Not for the others: they may be waiting for Pulumi, which would be killed.
        signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main(sys.argv[1:]))
