"""The sides, compared: everything of one run, from the empty stores to the last reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bench import memory, odd
from bench.artifacts import Download, Upload
from bench.logging_work import CLIENTS, Clients, Logging, logging_tasks
from bench.measure import interleave
from bench.options import SEED, Options
from bench.product import Product
from bench.results import Results
from bench.room import Room, say
from bench.seed import Stores
from bench.sides import OURS, SIGN_IN, TUTORIAL, Side, journal_mode, side_of, start_all
from bench.starts import FromNothing, Recipe, Restart
from bench.verdict import SIGNED_IN
from bench.work import cells


@dataclass
class Found:
    """What a run has found up to now."""

    results: Results = field(default_factory=Results)
    odd: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def compare(options: Options, room: Room, images: dict[str, str], found: Found, save: Callable[[], None]) -> None:
    """Measure all that the options ask for. `save` is called after each part."""
    say("bringing up all sides")
    product = Product(room)
    sides = start_all(room, images, product)
    clients = Clients(max(CLIENTS))
    try:
        size = options.sizes[-1]
        stores = Stores(sides, SEED)
        stores.fill()
        for side in sides:
            if side.file:
                found.notes.append(f"SQLite's journal mode, as MLflow left it: {journal_mode(side.file)}.")
        for each in options.sizes:
            stores.grow(each)
            reading = cells(stores, sides[-1], options.samples, options.limit)
            for cell in reading:
                cell.settling = options.settling
            if each == options.sizes[0]:
                # They have imported MLflow beside the seeding; what is timed must not wait for that.
                clients.wait()
            warm_up = not options.quick or each == options.sizes[0]
            interleave(reading, sides, options.rounds, each, found.results, warm_up=warm_up)
            save()
        logging = logging_tasks(clients, stores.experiments.logged, options.log_seconds, options.limit)
        interleave(logging, sides, options.rounds, size, found.results, warm_up=not options.quick)
        save()
        _artifacts(options, room, sides, found.results)
        found.odd |= {side.name: odd.try_all(side, stores.experiments.logged) for side in sides}
        memory.weigh(sides, size, found.results)
        save()
        if not options.quick:
            _sign_in(options, room, sides, clients, found.results)
            save()
            _starts(options, room, images, sides, product, found.results)
    finally:
        clients.stop()


def _artifacts(options: Options, room: Room, sides: list[Side], results: Results) -> None:
    file = room.folder / "artifact"
    tasks = [Upload(file, options.artifact_mb, options.limit), Download(options.artifact_mb, options.limit)]
    interleave(tasks, sides, options.slow_rounds, options.sizes[-1], results, warm_up=not options.quick)


def _sign_in(options: Options, room: Room, sides: list[Side], clients: Clients, results: Results) -> None:
    say("bringing up a stack with sign-in")
    product = Product(room, "-in", signIn=True)
    product.up()
    signed_in = side_of(product, SIGN_IN)
    signed_in.wait()
    signed_in.warm()
    tasks = [
        Logging(1, mode, clients, "0", options.log_seconds, options.limit, group="sign-in")
        for mode in ("mlflow", "http")
    ]
    for task in tasks:
        # The same work without sign-in is measured again, beside it.
        task.name = f"{SIGNED_IN}, {task.mode}"
    interleave(tasks, [_ours(sides), signed_in], options.rounds, options.sizes[-1], results)
    product.destroy()


def _starts(
    options: Options, room: Room, images: dict[str, str], sides: list[Side], product: Product, results: Results
) -> None:
    """Last, for the project's own data goes with its stack."""
    size = options.sizes[-1]
    recipe = Recipe(room, images["recipe"], "tutorial-postgres")
    interleave([Restart(recipe)], sides, options.slow_rounds, size, results)
    both = [side for side in sides if side.name in (TUTORIAL, OURS)]
    # The first one of ours builds its images again, which went with the stack; that is the warm-up.
    interleave([FromNothing(room, product, images["recipe"])], both, options.slow_rounds, size, results)


def _ours(sides: list[Side]) -> Side:
    (found,) = [side for side in sides if side.name == OURS]
    return found
