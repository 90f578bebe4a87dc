"""The second half of `bin/pulumi`: find the state, lock the stack, recover it, then exec Pulumi.

    python -m ops.launch FOLDER up | destroy | stack output | config set KEY VALUE | ...

FOLDER is the working directory of the call.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from contract.errors import UserError
from contract.names import is_stack_name, stack_name_near

from . import backend

PROJECT = Path(__file__).resolve().parent.parent

_NAME = "bin/pulumi"

# The commands that change a stack, and whether each waits for the stack's lock. A destroy does not wait: the other
# command may change what the user has decided to destroy.
_CHANGES = {"up": True, "update": True, "refresh": True, "destroy": False}

# Pulumi's global options that are followed by a value.
_VALUED = ("-C", "--cwd", "--color", "-v", "--verbose", "--tracing", "--profiling", "--memprofilerate")


def main(folder: str, arguments: Sequence[str]) -> int:
    """Become Pulumi; an exit code only if that fails. An error is one line on standard error and exit code 1."""
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
    """Prepare a stack of ours for Pulumi and, for a command that changes it, become Pulumi under the stack's lock."""
    words = list(_words(arguments))
    if words[:1] == ["stack"]:
        _refuse_unusable_names(words, arguments)
    command = words[0] if words else ""
    if command != "preview" and command not in _CHANGES:
        return
    stack = _stack(arguments)
    if not stack:
        return
    # Not at the top: commands that only read do not need these imports, and take a fifth of the time without them.
    from . import docker_runtime, recover

    with closing(docker_runtime.connect()) as runtime:
        # A preview changes nothing. It only needs the engine, for its refresh.
        if command == "preview":
            return
        with recover.recovered(runtime, stack, command, waits=_CHANGES[command]) as lock:
            # Pulumi inherits the lock. Programs that it starts do not: they may outlive it.
            os.set_inheritable(lock, True)
            _become_pulumi(arguments)


def _become_pulumi(arguments: Sequence[str]) -> None:
    sys.stdout.flush()
    # Python ignores SIGPIPE, and Pulumi would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execvp("pulumi", ["pulumi", *arguments])


def _refuse_unusable_names(words: Sequence[str], arguments: Sequence[str]) -> None:
    """Pulumi would create the stack and its settings file before our program could refuse the name."""
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
    """The arguments without Pulumi's options and their values."""
    rest = iter(arguments)
    for argument in rest:
        if argument in (*_VALUED, "-s", "--stack"):
            next(rest, None)
        elif not argument.startswith("-"):
            yield argument


def _stack(arguments: Sequence[str]) -> str:
    """The stack of a command line; empty if it names none and none is selected."""
    named = _option(arguments)
    if named is not None:
        return named
    asked = ["pulumi", "stack", "--show-name"]
    return subprocess.run(asked, stdout=-1, stderr=subprocess.DEVNULL, text=True, check=False).stdout.strip()


def _option(arguments: Sequence[str]) -> str | None:
    """The value of `--stack`; None without the option."""
    for number, argument in enumerate(arguments):
        if argument in ("-s", "--stack"):
            return arguments[number + 1] if number + 1 < len(arguments) else ""
        if argument.startswith("--stack="):
            return argument.removeprefix("--stack=")
    return None


def _program(folder: Path) -> Path | None:
    """The folder of the Pulumi program that a command would run: this one, or the nearest one above."""
    return next((each.resolve() for each in (folder, *folder.parents) if (each / "Pulumi.yaml").is_file()), None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
