"""`python -m ops doctor`: checks a stack, and prints one line for each check.

It only reads, except for one run that it logs and deletes.
"""

from .command import run

__all__ = ["run"]
