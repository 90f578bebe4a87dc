"""The errors of this package's commands: refused with nothing changed, or failed. See `contract.errors`."""

from __future__ import annotations

from contract.errors import UserError


class Refused(UserError):
    """The command cannot do this, and has changed nothing. Its message says so, besides `seen` and `rule`."""

    @property
    def problem(self) -> str:
        return f"{super().problem}; nothing was changed"


class Failed(UserError):
    """The command failed. `seen` says which state it left if it may have changed anything."""


def exit_code(error: Refused | Failed) -> int:
    """What a command ends with."""
    return 64 if isinstance(error, Refused) else 1
