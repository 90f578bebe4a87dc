"""The copies of the project that become systems: this checkout, and another commit of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.environment import ROOT, BenchError, copy_commit, copy_project, full_hash


def test_a_commit_is_found_by_any_name_of_git_s() -> None:
    found = full_hash("HEAD")
    assert len(found) == 40
    assert full_hash(found[:12]) == found


@pytest.mark.parametrize("name", ["no-such-commit", "--all", "HEAD:Makefile"])
def test_what_is_no_commit_is_refused_with_a_remedy(name: str) -> None:
    with pytest.raises(BenchError, match=r"git knows no such commit. Mend it with: --commit HEAD~1"):
        full_hash(name)


def test_a_commit_is_written_without_the_history_and_uses_this_virtualenv(tmp_path: Path) -> None:
    copy_commit(full_hash("HEAD"), tmp_path / "commit")
    copy_project(tmp_path / "checkout")
    for copy in (tmp_path / "commit", tmp_path / "checkout"):
        assert (copy / "Pulumi.yaml").is_file()
        assert (copy / "bin" / "pulumi").stat().st_mode & 0o100
        assert (copy / ".venv").resolve() == (ROOT / ".venv").resolve()
        assert not (copy / ".git").exists()
