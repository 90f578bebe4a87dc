"""Whether every container of the stack is as `make up` leaves it."""

from __future__ import annotations

from docker.models.containers import Container

from contract import labels, roles

from .. import objects
from .check import Verdict, broken, ok, together, warning
from .subject import Subject

_ALWAYS = {roles.POSTGRES, roles.SCHEMA, roles.MLFLOW}


def look(subject: Subject) -> Verdict:
    """Every service runs and is healthy, and the tasks have ended well."""
    there = {objects.label(each, labels.ROLE) for each in subject.containers}
    gone = _expected(subject, there) - there
    troubles = [
        *(broken(f"{role} is gone", subject.make_up) for role in sorted(gone)),
        *(_trouble(subject, each) for each in subject.containers if not objects.is_well(each)),
    ]
    if troubles:
        return together(troubles)
    services = sorted(_roles(subject, labels.SERVICE))
    tasks = sorted(there - _roles(subject, labels.SERVICE) - _roles(subject, labels.COURIER))
    return ok(f"{', '.join(services)} are healthy; {', '.join(tasks)} ended well")


def _expected(subject: Subject, there: set[str]) -> set[str]:
    """The roles that must be played: who is handed secrets, and who has an output, is missed when gone."""
    adminer = {roles.ADMINER} if "adminer_url" in subject.outputs else set()
    return _ALWAYS | adminer | {roles.served_by(role) for role in there if roles.is_courier(role)}


def _trouble(subject: Subject, container: Container) -> Verdict:
    role = objects.label(container, labels.ROLE)
    if container.status == "paused":
        return broken(f"{role} is paused", f"docker unpause {container.name}")
    seen = f"{role} is {objects.condition(container)}"
    if _on_its_way(container):
        return warning(seen, f"{subject.make_up}, which waits for it")
    return broken(seen, f"{subject.make_logs}, which says why, then {subject.make_up}")


def _on_its_way(container: Container) -> bool:
    """Whether it is about to be well: a service that starts, a task that has not ended yet."""
    task = objects.label(container, labels.KIND) == labels.TASK
    return container.status == "running" and (task or container.health == "starting")


def _roles(subject: Subject, kind: str) -> set[str]:
    return {objects.label(each, labels.ROLE) for each in subject.containers if objects.label(each, labels.KIND) == kind}
