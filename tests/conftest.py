"""What all tests share."""

from __future__ import annotations

import signal

# What a shell starts in the background ignores Ctrl-C, and so would every test that presses it, and every command that
# is started and stopped here.
signal.signal(signal.SIGINT, signal.default_int_handler)
