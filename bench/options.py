"""The options of one run. Pure: it reads only the command line that it gets."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.systems import OURS, SIDES

SEED = 52
"""The seed of all rows. With this one, every search finds something among 1,000 runs."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """A quick run has fewer rounds and sizes, warms up once, and skips the starts and sign-in."""

    sizes: tuple[int, ...]
    """Numbers of runs in the stores, in ascending order."""
    sides: tuple[str, ...]
    """The systems to compare."""
    commit: str | None
    """A commit of this project to compare with, as one more system."""
    rounds: int
    """Rounds that count. A warm-up round comes before them."""
    limit: float
    """Seconds after which a request is abandoned."""
    output: Path
    quick: bool
    indexes: bool
    """Measure our indexes instead of comparing the systems."""
    samples: int
    """Readings of a fast task in one round, at most."""
    settling: float
    """Seconds for which the warm-up repeats a task on each system."""
    log_seconds: float
    """Seconds of logging in one round."""
    slow_rounds: int
    """Rounds of the slow tasks: artifacts and starts."""
    artifact_mb: int


def parse(arguments: Sequence[str]) -> Options:
    """Parse the command line. Invalid options exit with code 2, as usual for argparse."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 and 10,000 runs and few rounds: 5 minutes")
    parser.add_argument("--sizes", type=_sizes, metavar="N,N", help="numbers of runs (default 1000,10000,100000)")
    parser.add_argument(
        "--sides", type=_sides, metavar="NAME,NAME", default=SIDES, help=f"what to compare (default {','.join(SIDES)})"
    )
    parser.add_argument("--commit", metavar="REF", help="compare with this commit of the project too")
    parser.add_argument("--rounds", type=_positive, help="counted rounds (default 7, quick 2)")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds to wait for one task (default 20)")
    parser.add_argument("--output", type=Path, default=Path("build/bench"), help="folder for the results")
    parser.add_argument("--indexes", action="store_true", help="measure each of our indexes, at the last size")
    given = parser.parse_args(arguments)
    if given.limit <= 0:
        parser.error(f"--limit {given.limit:g}: must be above 0. Mend it with: --limit 20")
    quick: bool = given.quick
    return Options(
        sizes=given.sizes or ((1_000, 10_000) if quick else (1_000, 10_000, 100_000)),
        sides=given.sides,
        commit=given.commit,
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


def _sides(text: str) -> tuple[str, ...]:
    chosen = text.split(",")
    if OURS not in chosen or not set(chosen) <= set(SIDES):
        raise argparse.ArgumentTypeError(f"{text}: must be {OURS} and others of {','.join(SIDES)}")
    return tuple(side for side in SIDES if side in chosen)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 1")
    return number
