"""`python -m ops doctor`: what is healthy in a stack and what is not, one line for each check.

It only reads, except for one run that it logs and deletes.
"""

from .command import run

__all__ = ["run"]
