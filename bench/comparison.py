"""The comparison of all systems, from empty stores to the last reading."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bench import edge_cases, memory
from bench.artifact_tasks import Download, Upload
from bench.connection import API
from bench.environment import BenchError, Environment, full_hash, progress
from bench.logging_tasks import CLIENT_RUNS, CLIENTS, RUNS, Clients, Logging, logging_tasks
from bench.options import SEED, Options
from bench.product import Product
from bench.read_tasks import ReadTask, read_tasks
from bench.results import Results
from bench.searches import SEARCHES
from bench.start_tasks import FromNothing, Recipe, Restart
from bench.statements import StatementTask, logged_durations
from bench.stores import Experiments, Stores, make_experiments
from bench.systems import COMMIT, OURS, SIGN_IN, TUTORIAL, USER, System, journal_mode, start_all, system_of
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
    products = _products(options, environment, findings)
    systems = start_all(environment, images, options.sides, products)
    clients = Clients(max(CLIENTS))
    try:
        size = options.sizes[-1]
        stores = Stores(systems, SEED)
        stores.fill()
        for system in systems:
            if system.file:
                findings.notes.append(f"SQLite's journal mode, as MLflow left it: {journal_mode(system.file)}.")
        for each in options.sizes:
            seconds = stores.grow(each)
            findings.notes.append(f"Seeding up to {each:,} runs took {seconds:.0f} s. {_disk_space(systems)}")
            reading = read_tasks(stores, systems[-1], options.samples, options.limit)
            for task in reading:
                task.settling = options.settling
            if each == options.sizes[0]:
                # The clients import MLflow during the seeding. The measurement must not include that.
                clients.wait()
            warm_up = not options.quick or each == options.sizes[0]
            measure_in_rounds(reading, systems, options.rounds, each, findings.results, warm_up=warm_up)
            _statements(options, reading, systems, each, findings.results)
            save()
        logging = logging_tasks(clients, stores.experiments.logged, options.log_seconds, options.limit)
        measure_in_rounds(logging, systems, options.rounds, size, findings.results, warm_up=not options.quick)
        save()
        _artifacts(options, environment, systems, findings.results)
        findings.edge_cases |= {
            system.name: edge_cases.log_all(system, stores.experiments.logged)
            for system in systems
            # What MLflow itself does with them is no promise of another server.
            if not system.partial
        }
        memory.measure(systems, size, findings.results)
        save()
        if not options.quick:
            _sign_in(options, environment, systems, clients, stores.experiments, findings.results)
            save()
            _starts(options, environment, images, systems, products[OURS], findings.results)
    finally:
        clients.stop()


def _products(options: Options, environment: Environment, findings: Findings) -> dict[str, Product]:
    """The project's stacks by system, this checkout's last."""
    products = {}
    if options.commit:
        commit = full_hash(options.commit)
        findings.notes.append(f"`{COMMIT}` is commit {commit[:12]} of this project, with this checkout's virtualenv.")
        products[COMMIT] = Product(environment, "-commit", commit=commit)
    products[OURS] = Product(environment)
    return products


def _disk_space(systems: list[System]) -> str:
    size = "SELECT pg_size_pretty(pg_database_size(current_database()))"
    taken = [f"{system.name} {system.psql(size).strip()}" for system in systems if system.postgres]
    return f"The databases then took: {', '.join(taken)}."


def _statements(options: Options, reading: list[ReadTask], systems: list[System], size: int, results: Results) -> None:
    """What PostgreSQL takes for each search."""
    names = {search.name for search in SEARCHES}
    tasks = [StatementTask(task) for task in reading if task.name in names]
    those = [system for system in systems if system.postgres]
    with logged_durations(those):
        measure_in_rounds(tasks, those, options.rounds, size, results, warm_up=False)


def _artifacts(options: Options, environment: Environment, systems: list[System], results: Results) -> None:
    file = environment.folder / "artifact"
    tasks = [Upload(file, options.artifact_mb, options.limit), Download(options.artifact_mb, options.limit)]
    measure_in_rounds(tasks, systems, options.slow_rounds, options.sizes[-1], results, warm_up=not options.quick)


def _sign_in(
    options: Options,
    environment: Environment,
    systems: list[System],
    clients: Clients,
    experiments: Experiments,
    results: Results,
) -> None:
    progress("starting a stack with sign-in")
    product = Product(environment, "-in", signIn=True)
    product.up()
    administrator = system_of(product, SIGN_IN)
    administrator.wait()
    administrator.warm_up()
    user = _ordinary_user(administrator)
    # An ordinary user may write to experiments of their own. They get the ids that they have on the stack without.
    if make_experiments(user) != experiments:
        raise BenchError("the experiments of the stack with sign-in have other ids than those of the others")
    tasks = [
        Logging(count, kind, clients, experiments.logged, options.log_seconds, options.limit, group="sign-in")
        for kind in (CLIENT_RUNS, RUNS)
        for count in (1, 8)
    ]
    for task in tasks:
        # The same task without sign-in is measured again, in alternation.
        task.name = f"{SIGNED_IN}: {task.name}"
    sides = [_ours(systems), administrator, user]
    measure_in_rounds(tasks, sides, options.rounds, options.sizes[-1], results)
    product.destroy()


def _ordinary_user(administrator: System) -> System:
    """The same stack with the login of a new user, who has no rights but those of every user."""
    login = ("bench", secrets.token_urlsafe(24))
    body = {"username": login[0], "password": login[1]}
    administrator.retry(lambda connection: connection.post(f"{API}/users/create", body))
    return replace(administrator, name=USER, login=login)


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
