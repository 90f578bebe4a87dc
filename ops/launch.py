"""`bin/pulumi`, once the right programs are found: the state, one's turn, what was left by a killed run, then Pulumi.

    python -m ops.launch FOLDER up | destroy | stack output | config set KEY VALUE | ...

FOLDER is where it was called.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from contract.errors import UserError
from contract.names import is_stack_name, stack_name_near

from . import backend

PROJECT = Path(__file__).resolve().parent.parent

_NAME = "bin/pulumi"

# What changes a stack, and whether it waits for its turn. A destroy was decided on by what the stack was before.
_CHANGES = {"up": True, "update": True, "refresh": True, "destroy": False}

# Pulumi's options of every command that are followed by a value.
_VALUED = ("-C", "--cwd", "--color", "-v", "--verbose", "--tracing", "--profiling", "--memprofilerate")


def main(folder: str, arguments: Sequence[str]) -> int:
    """Become Pulumi; an exit code if that is not to be. Errors are one line on standard error and exit code 1."""
    os.chdir(folder)
    try:
        backend.use(PROJECT)
        program = _program(Path.cwd())
        if program is None:
            os.chdir(PROJECT)
        if program in (None, PROJECT) and not {"-h", "--help"} & set(arguments):
            _launch(arguments)
        _become_pulumi(arguments)
    except UserError as error:
        print(f"{_NAME}: {error.report}", file=sys.stderr)
    except OSError as error:
        print(f"{_NAME}: {error.filename or 'Pulumi'}: {error.strerror}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _launch(arguments: Sequence[str]) -> None:
    """What is done for a stack of ours before Pulumi works on it, and, where that changes it, Pulumi as well."""
    words = list(_words(arguments))
    if words[:1] == ["stack"]:
        _refuse_unusable_names(words, arguments)
    command = words[0] if words else ""
    if command != "preview" and command not in _CHANGES:
        return
    stack = _stack(arguments)
    if not stack:
        return
    # Not needed by what only asks, which is run more often and takes a fifth of the time.
    from . import objects, recover

    try:
        if command == "preview":
            recover.try_engine()
            return
        with recover.mended(stack, command, waits=_CHANGES[command]) as turn:
            # What Pulumi starts does not have the turn: it ends with Pulumi.
            os.set_inheritable(turn, True)
            _become_pulumi(arguments)
    except objects.ENGINE_ERRORS as error:
        raise UserError("engine-failed", f"the Docker engine failed: {error}", remedy="docker info") from error


def _become_pulumi(arguments: Sequence[str]) -> None:
    sys.stdout.flush()
    # Python ignores it, and what it becomes would.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execvp("pulumi", ["pulumi", *arguments])


def _refuse_unusable_names(words: Sequence[str], arguments: Sequence[str]) -> None:
    """Pulumi would make the stack, and a file of its settings, before the program says that the name is none."""
    making = words[1:2] == ["init"] or (words[1:2] == ["select"] and {"-c", "--create"} & set(arguments))
    name = (words[2] if len(words) > 2 else _option(arguments)) if making else None
    if name is None:
        return
    short = name.rpartition("/")[2]
    if not is_stack_name(short):
        raise UserError(
            "stack-name-invalid",
            f"the stack's name is {short!r}",
            rule="Docker wants a lower-case letter, then letters, digits and single dashes; nothing was made",
            remedy=f"make up STACK={stack_name_near(short)}",
        )


def _words(arguments: Sequence[str]) -> Iterator[str]:
    """The arguments that are no options of Pulumi's, nor their values."""
    rest = iter(arguments)
    for argument in rest:
        if argument in (*_VALUED, "-s", "--stack"):
            next(rest, None)
        elif not argument.startswith("-"):
            yield argument


def _stack(arguments: Sequence[str]) -> str:
    """The stack that a command line means; empty if it names none and none is selected."""
    named = _option(arguments)
    if named is not None:
        return named
    asked = ["pulumi", "stack", "--show-name"]
    return subprocess.run(asked, stdout=-1, stderr=subprocess.DEVNULL, text=True, check=False).stdout.strip()


def _option(arguments: Sequence[str]) -> str | None:
    """What `--stack` says; None if it is not there."""
    for number, argument in enumerate(arguments):
        if argument in ("-s", "--stack"):
            return arguments[number + 1] if number + 1 < len(arguments) else ""
        if argument.startswith("--stack="):
            return argument.removeprefix("--stack=")
    return None


def _program(folder: Path) -> Path | None:
    """The folder of the Pulumi program that a command would run, from here upwards."""
    return next((each.resolve() for each in (folder, *folder.parents) if (each / "Pulumi.yaml").is_file()), None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
