"""The documents: links, files and pictures exist, and the Chinese README has the commands of the English one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from .deploy import CHECKOUT

PAGES = sorted(
    [
        *CHECKOUT.glob("*.md"),
        *CHECKOUT.glob("docs/**/*.md"),
        *CHECKOUT.glob("*/README.md"),
        *CHECKOUT.glob("examples/*/README.md"),
    ]
)
PICTURES = CHECKOUT / "docs" / "pictures"
LARGEST_PICTURE = 150_000
CREATED = {"build", "dist"}
"""Folders that a command creates; git ignores them."""


def blocks(page: str) -> list[str]:
    """The indented blocks of commands in a page."""
    prose = re.sub(r"^```.*?^```$", "", (CHECKOUT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"(?:^    .+\n)+", prose, re.MULTILINE)


def commands(page: str) -> set[str]:
    """The commands inside the sentences of a page."""
    return set(re.findall(r"`((?:make|bin/pulumi) [^`]+)`", (CHECKOUT / page).read_text()))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_the_target_of_every_link_exists(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_a_file_that_a_page_names_exists(page: Path) -> None:
    """A path begins with a folder of the checkout, such as `images/mlflow/locks`."""
    folders = {path.name for path in CHECKOUT.iterdir() if path.is_dir()} - CREATED
    named = set(re.findall(r"`([\w.-]+/[\w./-]*)`", page.read_text()))
    paths = {path for path in named if path.partition("/")[0] in folders}
    assert {path for path in paths if not (CHECKOUT / path).exists()} == set()


def test_every_picture_is_used_and_small() -> None:
    shown = {name for page in PAGES for name in re.findall(r"pictures/([\w-]+\.png)\)", page.read_text())}
    there = {path.name: path.stat().st_size for path in PICTURES.iterdir()}
    assert shown == there.keys()
    assert max(there.values()) <= LARGEST_PICTURE, "take it in a smaller window: make pictures"


def test_the_chinese_readme_has_the_commands_of_the_english_one() -> None:
    english, chinese = blocks("README.md"), blocks("README.zh-CN.md")
    assert chinese[:2] == english[:2]
    text = (CHECKOUT / "README.md").read_text()
    said = {line.strip() for block in chinese for line in block.splitlines()} | commands("README.zh-CN.md")
    assert {command for command in said if command not in text} == set()


def test_every_commit_hook_is_a_recipe_of_the_makefile_and_needs_no_network() -> None:
    (repository,) = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
    recipes = re.findall(r"^([a-z]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    assert {hook["entry"].removeprefix("make ") for hook in repository["hooks"]} <= set(recipes)
