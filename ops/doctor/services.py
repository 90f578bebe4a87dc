"""Checks that every container of the stack has the state after a successful `make up`."""

from __future__ import annotations

from contract import labels, roles

from ..runtime import Container
from .check import Verdict, broken, ok, warning, worst_of
from .subject import Subject

_ALWAYS = {roles.POSTGRES, roles.SCHEMA, roles.MLFLOW}


def check(subject: Subject) -> Verdict:
    """Every service is healthy, and all tasks have succeeded."""
    present = {each.role for each in subject.containers}
    missing = expected(subject) - present
    problems = [
        *(broken(f"{role} is missing", subject.make_up) for role in sorted(missing)),
        *(_problem(subject, each) for each in subject.containers if not each.is_as_expected),
    ]
    if problems:
        return worst_of(problems)
    services = sorted(_roles(subject, labels.SERVICE))
    tasks = sorted(present - _roles(subject, labels.SERVICE) - _roles(subject, labels.COURIER))
    return ok(f"{', '.join(services)} are healthy; {', '.join(tasks)} succeeded")


def expected(subject: Subject) -> set[str]:
    """The roles that must have containers: the basic ones, and those with a courier or an output."""
    shown = {role for role, switch in roles.OPTIONAL.items() if switch.output in subject.outputs}
    return _ALWAYS | shown | {roles.served_by(role) for role in _roles(subject, labels.COURIER)}


def _problem(subject: Subject, container: Container) -> Verdict:
    role = container.role
    if container.status == "paused":
        return broken(f"{role} is paused", f"docker unpause {container.name}")
    seen = f"{role} is {container.condition}"
    if _is_starting(container):
        return warning(seen, f"{subject.make_up}, which waits for it")
    return broken(seen, f"{subject.make_logs}, which says why, then {subject.make_up}")


def _is_starting(container: Container) -> bool:
    """Whether it may still succeed: a service that starts, or a running task."""
    task = container.kind == labels.TASK
    return container.status == "running" and (task or container.health == "starting")


def _roles(subject: Subject, kind: str) -> set[str]:
    return {each.role for each in subject.containers if each.kind == kind}
