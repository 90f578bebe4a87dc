"""What one run of the benchmark is asked to do. Pure: reads nothing but the command line it is given."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SEED = 52
"""Every row of every side follows from this number; with this one, every search finds something among 1,000 runs."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """One run. A quick one has fewer rounds and sizes, warms up once, and leaves out the starts and the sign-in."""

    sizes: tuple[int, ...]
    """Numbers of runs that the stores are grown to, one after the other."""
    rounds: int
    """Counted rounds; one more, before them, is not."""
    limit: float
    """Seconds after which an answer is no longer waited for."""
    output: Path
    quick: bool
    indexes: bool
    """Weigh our own indexes instead of comparing the sides."""
    samples: int
    """Most readings of one quick cell in one round."""
    settling: float
    """Seconds that one cell is asked for on each side in the round that is not counted, at least once."""
    log_seconds: float
    """Seconds that clients log for in one round."""
    slow_rounds: int
    """Rounds of what takes long: artifacts and starts."""
    artifact_mb: int


def parse(arguments: Sequence[str]) -> Options:
    """The options of a command line; argparse's own exit, with code 2, on one that cannot work."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 and 10,000 runs and few rounds: under 3 minutes")
    parser.add_argument("--sizes", type=_sizes, metavar="N,N", help="numbers of runs (default 1000,10000,100000)")
    parser.add_argument("--rounds", type=_positive, help="counted rounds (default 7, quick 2)")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds to wait for one cell (default 20)")
    parser.add_argument("--output", type=Path, default=Path("build/bench"), help="folder of what is found")
    parser.add_argument("--indexes", action="store_true", help="what each of our indexes is worth, at the last size")
    given = parser.parse_args(arguments)
    if given.limit <= 0:
        parser.error(f"--limit {given.limit:g}: must be above 0. Mend it with: --limit 20")
    quick: bool = given.quick
    return Options(
        sizes=given.sizes or ((1_000, 10_000) if quick else (1_000, 10_000, 100_000)),
        rounds=given.rounds or (2 if quick else 7),
        limit=given.limit,
        output=given.output,
        quick=quick,
        indexes=given.indexes,
        samples=1 if quick else 3,
        settling=0.0 if quick else 1.0,
        log_seconds=1.0 if quick else 5.0,
        slow_rounds=2 if quick else 3,
        artifact_mb=100 if quick else 200,
    )


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(_positive(part) for part in text.split(","))
    if list(sizes) != sorted(set(sizes)):
        raise argparse.ArgumentTypeError(f"{text}: the stores only grow. Mend it with: --sizes 1000,10000")
    return sizes


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 1")
    return number
