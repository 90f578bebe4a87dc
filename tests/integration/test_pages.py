"""What a person sees: old runs in MLflow's pages, the tables in Adminer. In a real browser.

A page that asks any host but this machine fails its test.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from docs.browser import CHART_LINE, PATIENCE, browser, open_run, open_runs, open_tables

from .harness import Deployment
from .old_stores import OldStore, make_store

expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture(scope="module")
def new(empty_stack: Deployment) -> Deployment:
    return empty_stack


@pytest.fixture(scope="module")
def old(new: Deployment, tmp_path_factory: pytest.TempPathFactory) -> OldStore:
    """A store that MLflow made, whose runs have come along."""
    store = make_store(new, tmp_path_factory.mktemp("old"), "sqlite", "old")
    new.ops("import", str(store.path))
    return store


def open_old_runs(page: Page, stack: Deployment, old: OldStore) -> None:
    number = old.contents["experiments"]["old-one"][-1]
    open_runs(page, stack.outputs()["tracking_url"], number)


def test_imported_runs_are_in_the_table(new: Deployment, old: OldStore) -> None:
    with browser() as page:
        open_old_runs(page, new, old)
        # One of them is another's child.
        page.get_by_role("row").filter(has_text="first").get_by_role("button").click()
        runs = [each["info"] for each in old.contents["runs"].values() if each["experiment"] == "old-one"]
        stages = {name: stage for name, _, _, _, stage, _ in runs}
        assert sorted(stages.values()) == ["active", "active", "deleted"]
        for name, stage in stages.items():
            expect(page.get_by_role("link", name=name, exact=True)).to_have_count(int(stage == "active"))


def test_the_chart_of_an_imported_metric_is_drawn_with_its_whole_history(new: Deployment, old: OldStore) -> None:
    with browser() as page:
        open_old_runs(page, new, old)
        open_run(page, "first", "Model metrics")
        card = page.get_by_test_id("experiment-view-compare-runs-card").filter(
            has=page.get_by_role("heading", name="loss", exact=True)
        )
        expect(card.locator(CHART_LINE).first).to_be_visible()
        drawn = card.locator(".js-plotly-plot").evaluate("chart => chart.data[0].y")
        assert drawn == pytest.approx([1 / (step + 1) for step in range(200)])


def test_an_imported_artifact_is_opened(new: Deployment, old: OldStore) -> None:
    with browser() as page:
        open_old_runs(page, new, old)
        open_run(page, "first", "Artifacts")
        page.get_by_text("files", exact=True).click()
        page.get_by_text("a.txt", exact=True).click()
        expect(page.get_by_text("an artifact", exact=True)).to_be_visible()


def test_adminer_lists_the_tables(new: Deployment) -> None:
    with browser() as page:
        outputs = new.outputs()
        open_tables(page, outputs["adminer_url"], outputs["postgres_password"])
        for table in ("experiments", "runs", "metrics", "params", "alembic_version"):
            expect(page.get_by_role("table").get_by_role("link", name=table, exact=True)).to_be_visible()


def test_adminer_lets_nobody_in_with_another_password(new: Deployment) -> None:
    with browser() as page:
        open_tables(page, new.outputs()["adminer_url"], "another")
        expect(page.get_by_text("Unable to connect to PostgreSQL server")).to_be_visible()
