"""`python -m ops doctor`: what is healthy in a stack and what is not, one line for each check.

It looks, and but for one run that it logs and takes away again it changes nothing.
"""

from .command import run

__all__ = ["run"]
