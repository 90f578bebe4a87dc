"""A look at the Docker host before anything is planned, so that what cannot work stops before anything is touched.

Reads only. Beside `components`, which never leaves the program while planning.
"""

from .engine import EngineError, open_engine
from .host import check_host

__all__ = ["EngineError", "check_host", "open_engine"]
