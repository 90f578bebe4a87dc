"""How long a test waits before it fails, in seconds. The machine may be busy with other stacks.

What the product itself promises in seconds stands beside its test.
"""

from __future__ import annotations

REQUEST = 120
"""One HTTP request, or one step of a page."""
CONDITION = 300
"""Something that happens by itself soon."""
STOP = 300
"""A container's clean end. PostgreSQL flushes every file of its volume before it recovers, and does not stop before."""
RECOVERY = 180
"""From the end of a fault to the first answer. A quiet machine needs 5 to 15."""
