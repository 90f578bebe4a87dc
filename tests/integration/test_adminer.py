"""Adminer: its form has everything filled in but the password, and both roles come in, to this database alone."""

from __future__ import annotations

import html
import re
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

import pytest

from .harness import Deployment
from .limits import REQUEST

READER = "mlflow_readonly"


class Browser:
    """Whoever opens the page, with the cookies that it gives."""

    def __init__(self, stack: Deployment) -> None:
        self.outputs = stack.outputs()
        self.home = f"http://127.0.0.1:{stack.settings['adminerPort']}/"
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, address: str) -> str:
        return self._open(urllib.parse.urljoin(self.home, address))

    def sign_in(self, user: str, password: str, server: str = "postgres", driver: str = "pgsql") -> str:
        """What the page says after the form was sent."""
        fields = {"driver": driver, "server": server, "username": user, "password": password, "db": "mlflow"}
        form = {f"auth[{name}]": value for name, value in fields.items()}
        return self._open(urllib.request.Request(self.home, urllib.parse.urlencode(form).encode()))

    def _open(self, what: str | urllib.request.Request) -> str:
        try:
            with self.opener.open(what, timeout=REQUEST) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()


def filled_in(page: str) -> dict[str, str]:
    """The values of the form's fields, those of a choice included."""
    fields = re.findall(r"""<input name=["']auth\[(\w+)\]["'][^>]*?value=["']([^"']*)""", page)
    driver = re.search(r"""<option value=["'](\w+)["'] selected""", page)
    return {**dict(fields), "driver": driver[1] if driver else ""}


@pytest.fixture
def browser(stack: Deployment) -> Browser:
    return Browser(stack)


@pytest.mark.parametrize("address", ["", "the output"])
def test_everything_is_filled_in_but_the_password(browser: Browser, address: str) -> None:
    page = browser.get(browser.outputs["adminer_url"] if address else "")
    found = {name: value for name, value in filled_in(page).items() if name != "permanent"}
    assert found == {"driver": "pgsql", "server": "postgres", "username": "mlflow", "db": "mlflow"}


def test_the_form_offers_the_role_that_only_reads(browser: Browser) -> None:
    page = browser.get("")
    offered = re.search(rf"<a href='([^']*)'>{READER}</a> only reads, and no credentials: its password is", page)
    assert offered, page
    assert "bin/pulumi stack output postgres_readonly_password --show-secrets" in page
    assert filled_in(browser.get(html.unescape(offered[1])))["username"] == READER


def test_the_role_that_only_reads_sees_the_tables_and_no_hash_of_a_password(browser: Browser) -> None:
    page = browser.sign_in(READER, browser.outputs["postgres_readonly_password"])
    assert "trace_info" in page
    assert "Logout" in page
    here = f"?pgsql=postgres&username={READER}&db=mlflow&ns=public"
    assert "Default" in browser.get(f"{here}&select=experiments")
    assert "permission denied for table secrets" in browser.get(f"{here}&select=secrets")


def test_the_servers_role_comes_in_as_well_and_nobody_without_its_password(browser: Browser) -> None:
    assert "Logout" not in browser.sign_in("mlflow", "a-guess")
    assert "trace_info" in browser.sign_in("mlflow", browser.outputs["postgres_password"])


def test_it_connects_to_no_other_server(browser: Browser) -> None:
    page = browser.sign_in(READER, browser.outputs["postgres_readonly_password"], server="mlflow:5000")
    assert "trace_info" in page, "or else the page would knock at whatever its networks reach"
