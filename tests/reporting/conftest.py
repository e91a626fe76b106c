"""A page that is opened once for the tests of a file, and afresh for each."""

import pytest
from browser import browser
from report_page import settle, write_output


@pytest.fixture(scope="session")
def program():
    with browser() as started:
        yield started


@pytest.fixture(scope="session")
def output(tmp_path_factory):
    return write_output(tmp_path_factory.mktemp("player"))


@pytest.fixture(scope="module")
def page(program, output):
    opened = program.open((output / "report.html").as_uri())
    opened.wait("document.querySelector('.where').textContent")
    yield opened
    assert opened.complaints() == []


@pytest.fixture(autouse=True)
def afresh(request):
    """Every test begins with the page as it is opened."""
    if "page" in request.fixturenames:
        page = request.getfixturevalue("page")
        page.ask("location.hash = ''")
        page.call("Page.reload")
        page.wait("document.readyState === 'complete'")
        settle(page)
