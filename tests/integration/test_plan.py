"""The plan of a stack that is up is empty, whoever asks and from wherever."""

from __future__ import annotations

from pathlib import Path

from .harness import Deployment, clone


def test_nothing_is_planned_right_after_up(stack: Deployment) -> None:
    stack.preview_unchanged()


def test_nothing_is_planned_after_a_refresh(stack: Deployment) -> None:
    stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", stack.name)
    stack.preview_unchanged()


def test_nothing_is_planned_from_a_fresh_clone_with_the_same_state(stack: Deployment, tmp_path: Path) -> None:
    other = clone(tmp_path / "elsewhere" / "project")
    settings = stack.project / f"Pulumi.{stack.name}.yaml"
    without_salt = [line for line in settings.read_text().splitlines() if not line.startswith("encryptionsalt")]
    (other / settings.name).write_text("\n".join(without_salt) + "\n")
    stack.pulumi("preview", "--expect-no-changes", "--diff", "--stack", stack.name, folder=other)
