"""What every command says when it cannot do what it was asked for."""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot be used as asked; the message says why and what mends it."""
