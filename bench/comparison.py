"""The comparison of all systems, from empty stores to the last reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bench import edge_cases, memory
from bench.artifact_tasks import Download, Upload
from bench.environment import Environment, progress
from bench.logging_tasks import CLIENTS, Clients, Logging, logging_tasks
from bench.options import SEED, Options
from bench.product import Product
from bench.read_tasks import read_tasks
from bench.results import Results
from bench.start_tasks import FromNothing, Recipe, Restart
from bench.stores import Stores
from bench.systems import OURS, SIGN_IN, TUTORIAL, System, journal_mode, start_all, system_of
from bench.targets import SIGNED_IN
from bench.task import measure_in_rounds


@dataclass
class Findings:
    """The results of a run so far."""

    results: Results = field(default_factory=Results)
    edge_cases: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def compare(
    options: Options, environment: Environment, images: dict[str, str], findings: Findings, save: Callable[[], None]
) -> None:
    """Measure everything that the options select. Calls `save` after each part."""
    progress("starting all systems")
    product = Product(environment)
    systems = start_all(environment, images, product)
    clients = Clients(max(CLIENTS))
    try:
        size = options.sizes[-1]
        stores = Stores(systems, SEED)
        stores.fill()
        for system in systems:
            if system.file:
                findings.notes.append(f"SQLite's journal mode, as MLflow left it: {journal_mode(system.file)}.")
        for each in options.sizes:
            stores.grow(each)
            reading = read_tasks(stores, systems[-1], options.samples, options.limit)
            for task in reading:
                task.settling = options.settling
            if each == options.sizes[0]:
                # The clients import MLflow during the seeding. The measurement must not include that.
                clients.wait()
            warm_up = not options.quick or each == options.sizes[0]
            measure_in_rounds(reading, systems, options.rounds, each, findings.results, warm_up=warm_up)
            save()
        logging = logging_tasks(clients, stores.experiments.logged, options.log_seconds, options.limit)
        measure_in_rounds(logging, systems, options.rounds, size, findings.results, warm_up=not options.quick)
        save()
        _artifacts(options, environment, systems, findings.results)
        findings.edge_cases |= {
            system.name: edge_cases.log_all(system, stores.experiments.logged) for system in systems
        }
        memory.measure(systems, size, findings.results)
        save()
        if not options.quick:
            _sign_in(options, environment, systems, clients, findings.results)
            save()
            _starts(options, environment, images, systems, product, findings.results)
    finally:
        clients.stop()


def _artifacts(options: Options, environment: Environment, systems: list[System], results: Results) -> None:
    file = environment.folder / "artifact"
    tasks = [Upload(file, options.artifact_mb, options.limit), Download(options.artifact_mb, options.limit)]
    measure_in_rounds(tasks, systems, options.slow_rounds, options.sizes[-1], results, warm_up=not options.quick)


def _sign_in(
    options: Options, environment: Environment, systems: list[System], clients: Clients, results: Results
) -> None:
    progress("starting a stack with sign-in")
    product = Product(environment, "-in", signIn=True)
    product.up()
    signed_in = system_of(product, SIGN_IN)
    signed_in.wait()
    signed_in.warm_up()
    tasks = [
        Logging(1, mode, clients, "0", options.log_seconds, options.limit, group="sign-in")
        for mode in ("mlflow", "http")
    ]
    for task in tasks:
        # The same task without sign-in is measured again, in alternation.
        task.name = f"{SIGNED_IN}, {task.mode}"
    measure_in_rounds(tasks, [_ours(systems), signed_in], options.rounds, options.sizes[-1], results)
    product.destroy()


def _starts(
    options: Options,
    environment: Environment,
    images: dict[str, str],
    systems: list[System],
    product: Product,
    results: Results,
) -> None:
    """Runs last, because it destroys the project's stack with its data."""
    size = options.sizes[-1]
    recipe = Recipe(environment, images["recipe"], "tutorial-postgres")
    measure_in_rounds([Restart(recipe)], systems, options.slow_rounds, size, results)
    both = [system for system in systems if system.name in (TUTORIAL, OURS)]
    # Destroying the stack removed our images. The warm-up round builds them again.
    measure_in_rounds([FromNothing(environment, product, images["recipe"])], both, options.slow_rounds, size, results)


def _ours(systems: list[System]) -> System:
    (found,) = [system for system in systems if system.name == OURS]
    return found
