"""What all tests share."""

from __future__ import annotations

import signal

import pytest

# What a shell starts in the background ignores Ctrl-C, and so would every test that presses it, and every command that
# is started and stopped here.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--keep-failed",
        action="store_true",
        help="leave the stacks of failed tests on the engine, and print the commands that look at and remove them",
    )
