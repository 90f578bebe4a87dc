"""A stack's pages in Chromium, for the tests and for the screenshots."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import HttpCredentials, Page, Route, sync_playwright

HOST = "127.0.0.1"
WIDTH, HEIGHT = 1280, 720
PATIENCE = 90
"""Seconds that a page may take for each step: several stacks may be up on one machine."""
CHART_LINE = ".scatterlayer path.js-line"
"""CSS selector of a line in a chart."""


@contextmanager
def browser(user: HttpCredentials | None = None) -> Iterator[Page]:
    """A page in a fresh browser. `user` signs in if a server asks for it.

    The browser reaches no other host than this one. Raises AssertionError at the end if a page has requested another
    host, FileNotFoundError without Chromium. An error in the block gets notes: the path of a screenshot, the page's
    address, its console output, and the failed requests.
    """
    program = shutil.which("chromium")
    if not program:
        raise FileNotFoundError("there is no chromium on PATH. Mend it with: make browser")
    other_hosts: set[str] = set()
    events: list[str] = []

    def fetch(route: Route) -> None:
        """Send a request from Playwright instead of Chromium.

        Chromium drops all its requests (ERR_NETWORK_CHANGED) when a container on this machine starts or stops, because
        that adds or removes a network interface. A page that has lost a script stays empty.
        """
        host = urlsplit(route.request.url).hostname or HOST
        if host != HOST:
            other_hosts.add(host)
            route.abort()
        else:
            route.fulfill(response=route.fetch(timeout=PATIENCE * 1000))

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program,
            args=["--disable-gpu", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"],
        )
        try:
            context = chromium.new_context(viewport={"width": WIDTH, "height": HEIGHT}, http_credentials=user)
            context.set_default_timeout(PATIENCE * 1000)
            context.route("**/*", fetch)
            context.on("console", lambda message: events.append(f"console {message.type}: {message.text}"))
            context.on("requestfailed", lambda request: events.append(f"failed: {request.url} ({request.failure})"))
            # Without this, MLflow opens its assistant over the first page.
            context.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
            page = context.new_page()
            try:
                yield page
            except Exception as error:
                _describe(page, events, error)
                raise
            context.unroute_all(behavior="ignoreErrors")
        finally:
            chromium.close()
    assert not other_hosts, f"a page requested other hosts: {sorted(other_hosts)}"


def _describe(page: Page, events: list[str], error: Exception) -> None:
    """Add a screenshot of the page and its problems to an error."""
    with tempfile.NamedTemporaryFile(prefix="mlflow-postgres-page-", suffix=".png", delete=False) as picture:
        picture.write(page.screenshot())
    error.add_note(f"the page was at {page.url}; its picture is in {picture.name}")
    for event in events[-20:]:
        error.add_note(event)


def open_runs(page: Page, url: str, experiment: str) -> None:
    """Open the table of an experiment's runs, in the view for model training."""
    page.goto(f"{url}/#/experiments/{experiment}/runs")
    page.get_by_role("button", name="Model training").click()


def compare_runs(page: Page) -> None:
    """Switch from the table of runs to their charts."""
    page.locator("label:has(input[value=CHART])").click()
    page.locator(CHART_LINE).first.wait_for()


def open_run(page: Page, name: str, tab: str) -> None:
    """Open a tab of one run's page from the table of runs."""
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("tab", name=tab).click()


def open_tables(page: Page, url: str, password: str) -> None:
    """Sign in to Adminer. Only the password is not filled in yet."""
    page.goto(url)
    page.locator("input[type=password]").fill(password)
    page.get_by_role("button", name="Login").click()
