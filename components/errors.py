"""The error that ends a program whose platform cannot be deployed."""

from __future__ import annotations

from collections.abc import Iterable

import pulumi

from contract.errors import UserError, report


class DeploymentError(pulumi.RunError):
    """Ends the program before anything is touched. Pulumi prints its message, one error a line, without a traceback."""

    def __init__(self, errors: Iterable[UserError]) -> None:
        self.errors = list(errors)
        super().__init__(report(self.errors))


def refuse(errors: Iterable[UserError]) -> None:
    """Raise `DeploymentError` if there are any errors."""
    if found := list(errors):
        raise DeploymentError(found)
