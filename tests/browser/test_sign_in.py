"""People sign in by OpenID Connect: who they are, what their roles allow, and the key that is theirs."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from app.facade.caller import local_caller
from app.facade.keys import list_keys
from app.feedback.log import feedback_log
from app.feedback.place import feedback_place
from app.feedback.table import read_sayings
from app.settings import Location
from app.ui.server import free_port, running_server
from indexing import Collection
from tests.services.api import new_key, running_service
from tests.services.issuer import running_issuer

pytestmark = pytest.mark.browser

HOUR = 3600


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with Collection.create("animals", home=home) as collection:
        collection.add([{"id": "bee", "title": "Bee", "text": "Bees make honey."}])
    return home


@pytest.fixture(scope="module")
def issuer():
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def sign_in_page(issuer, tmp_path_factory):
    """Context manager: the address of a page where people sign in, in an environment."""

    @contextmanager
    def served(location, **environment):
        folder, port = tmp_path_factory.mktemp("page"), free_port()
        issuer.secrets(folder / "secrets.toml", f"http://127.0.0.1:{port}")
        with pytest.MonkeyPatch.context() as patch, (folder / "stderr").open("w") as log:
            patch.setenv("STREAMLIT_SECRETS_FILES", str(folder / "secrets.toml"))
            for name, value in {"STLIB_ROLES": "editors=write", **environment}.items():
                patch.setenv(name, value)
            with running_server(location, port, stderr=log) as (url, _):
                yield url

    return served


@pytest.fixture
def browse(chromium):
    """Context manager: a page in a fresh profile; it goes to the issuer and back."""

    @contextmanager
    def browsed(url):
        context = chromium.new_context()
        page = context.new_page()
        page.goto(url)
        yield page
        context.close()

    return browsed


def sign_in(page, who):
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name=who, exact=True).click()


def sign_out(page, name):
    page.get_by_role("button", name=name).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("Sign in to search here.")).to_be_visible()


def keys(home):
    return {key.name: (key.scope, key.state()) for key in list_keys(local_caller(), Location(home))}


def judge(page):
    page.get_by_role("textbox", name="Question").fill("honey")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="This is the one").click()
    expect(page.get_by_text("You: this is the one")).to_be_visible()


def people(home):
    feedback_log(feedback_place(Location(home))).flush()
    return {saying.who for saying in read_sayings(feedback_place(Location(home)))}


def test_roles_decide_and_the_service_knows_each_person_by_a_key(issuer, sign_in_page, browse, home):
    issuer.people.update(
        ann={"email": "ann@example.org", "email_verified": True, "roles": ["editors"]},
        bob={"email": "bob@example.org", "email_verified": True, "roles": ["x"]},
    )
    with running_service(home, workers=1, keys="required") as service:
        own = new_key(home, "the page", scope="admin")
        with (
            sign_in_page(Location(), STLIB_SERVER=service.url, STLIB_SERVER_KEY=own) as url,
            browse(f"{url}/collections") as page,
        ):
            expect(page.get_by_text("Sign in to search here.")).to_be_visible()
            assert "animals" not in page.content()
            sign_in(page, "bob")
            expect(page.get_by_text("You are signed in as bob@example.org, and none of your")).to_be_visible()
            assert "animals" not in page.content()
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_text("Sign in to search here.")).to_be_visible()

            sign_in(page, "ann")
            judge(page)
            assert people(home) == {"ann@example.org"}
            assert keys(home) == {"the page": ("admin", "valid"), "ann@example.org": ("write", "valid")}
            page.get_by_role("link", name="Collections", exact=True).click()
            expect(page.locator(".st-figures b").first).to_have_text("1")
            expect(page.get_by_role("button", name="New collection")).to_have_count(0)
            sign_out(page, "ann@example.org")
            assert keys(home)["ann@example.org"] == ("write", "revoked")


@pytest.mark.long
def test_a_page_over_a_home_knows_them_too_and_believes_nobody_for_long(issuer, sign_in_page, browse, home):
    issuer.people["eve"] = {"email": "eve@example.org", "email_verified": False, "roles": "editors"}
    with sign_in_page(Location(home)) as url, browse(url) as page:
        issuer.signed_at = -13 * HOUR
        sign_in(page, "eve")
        expect(page.get_by_text("You signed in more than 12 hours ago: sign in again.")).to_be_visible()
        issuer.signed_at = 0
        sign_in(page, "eve")
        judge(page)
        assert "subject-of-eve" in people(home)
        sign_out(page, "subject-of-eve")
