"""Who may see the page, and what a browser may do with it: asked without a browser and without a port."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from led import LedSweep
from werkzeug.test import TestResponse

from dashboards import app
from sweeper.analysis.live import Watch
from sweeper.experiment import Experiment
from sweeper.store import Store

TOKEN = "correct horse"
PATHS = (
    *("/", "/sweeps/tiny", "/sweeps/tiny/trials.csv", "/sweeps/tiny/report.html", "/lecture/landscape"),
    *("/_dash-layout", "/_dash-dependencies", "/_dash-update-component", "/assets/page.js", "/elsewhere"),
)


@pytest.fixture
def watch(store: Store, tiny: Experiment) -> Iterator[Watch]:
    LedSweep(store, tiny).trains("sgd", 0, 2.0)
    made = Watch(store.url)
    yield made
    made.close()


@pytest.fixture
def open_page(watch: Watch) -> FlaskClient:
    """A page without a token."""
    return app.make(watch).test_client()


@pytest.fixture
def guarded(watch: Watch) -> FlaskClient:
    """A page with a token."""
    return app.make(watch, token=TOKEN).test_client()


def log_in(client: FlaskClient, token: str, target: str = "/sweeps/tiny") -> TestResponse:
    return client.post("/login", query_string={"next": target}, data={"token": token})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_of_a_sweep_is_told_without_the_token(guarded: FlaskClient, path: str, method: str) -> None:
    answer = guarded.open(path, method=method, headers={"Accept": "text/html"})
    assert answer.status_code in (302, 401)
    assert b"tiny" not in answer.data.replace(b"/sweeps/tiny", b"").replace(b"%2Fsweeps%2Ftiny", b"")


def test_a_browser_is_led_to_the_form_and_back_again(guarded: FlaskClient) -> None:
    answer = guarded.get("/sweeps/tiny?tab=trials", headers={"Accept": "text/html"})
    assert answer.location == "/login?next=%2Fsweeps%2Ftiny%3Ftab%3Dtrials"
    assert log_in(guarded, TOKEN, "/sweeps/tiny?tab=trials").location == "/sweeps/tiny?tab=trials"
    assert guarded.get("/sweeps/tiny").status_code == 200


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "evil"]
)
def test_the_form_leads_nowhere_else(guarded: FlaskClient, target: str) -> None:
    assert log_in(guarded, TOKEN, target).location == "/"


@pytest.mark.parametrize("token", ["", "wrong", "correct hors", "correct horse ", "\x00", "ü" * 1000])
def test_a_wrong_token_gives_no_cookie(guarded: FlaskClient, token: str) -> None:
    answer = log_in(guarded, token)
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


def test_the_cookie_is_no_token_and_no_script_reads_it(guarded: FlaskClient) -> None:
    cookie = log_in(guarded, TOKEN).headers["Set-Cookie"]
    assert "correct" not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    guarded.delete_cookie("sweeper")
    guarded.set_cookie("sweeper", TOKEN)
    assert guarded.get("/_dash-layout").status_code == 401


@pytest.mark.parametrize(
    ("given", "status"), [(f"Bearer {TOKEN}", 200), ("Bearer wrong", 401), ("Basic x", 401)]
)
def test_a_program_sends_the_token_with_its_request(guarded: FlaskClient, given: str, status: int) -> None:
    assert guarded.get("/sweeps/tiny", headers={"Authorization": given}).status_code == status


def test_health_is_told_to_everyone(guarded: FlaskClient) -> None:
    answer = guarded.get("/healthz", headers={"Host": "anything"})
    assert (answer.status_code, answer.data) == (200, b"ok\n")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8050", "127.0.0.1.evil.example", "", "[::2]"])
def test_without_a_token_only_this_machines_names_are_answered(open_page: FlaskClient, host: str) -> None:
    answer = open_page.get("/sweeps/tiny", headers={"Host": host})
    assert answer.status_code in (400, 403)
    assert b"tiny" not in answer.data


@pytest.mark.parametrize("host", ["127.0.0.1:8050", "localhost", "LOCALHOST:1", "[::1]:8050"])
def test_this_machines_own_names_are_answered(open_page: FlaskClient, host: str) -> None:
    assert open_page.get("/sweeps/tiny", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/sweeps/tiny", "/sweeps/absent", "/healthz", "/sweeps/tiny/trials.csv"]
)
def test_every_answer_says_what_a_browser_may_do(open_page: FlaskClient, path: str) -> None:
    headers = open_page.get(path).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy["script-src"]
    assert "http" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_there_is_no_way_to_write(open_page: FlaskClient, store: Store) -> None:
    file = Path(store.url.removeprefix("sqlite:///"))
    before = file.read_bytes()
    for path in PATHS:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = open_page.open(path, method=method, json={})
            assert answer.status_code in (400, 405, 500), (method, path)
    assert file.read_bytes() == before


def test_a_sweep_that_is_not_there_is_404_and_an_unknown_file_too(open_page: FlaskClient) -> None:
    for path in ("/sweeps/absent", "/sweeps/absent/trials.csv", "/sweeps/tiny/secrets.txt"):
        assert open_page.get(path).status_code == 404, path


def test_what_a_url_puts_into_the_page_is_text(open_page: FlaskClient) -> None:
    for evil in ("<script>alert(1)<script>", "{%scripts%}", "{{7*7}}", '"><img src=x>'):
        page = open_page.get(f"/sweeps/{evil}", query_string={"tab": evil, "find": evil}).text
        assert "<script>alert" not in page
        assert "<img" not in page
        assert page.count("dash-renderer") == open_page.get("/").text.count("dash-renderer")


def test_a_store_that_is_away_is_503_in_one_line(open_page: FlaskClient, store: Store) -> None:
    assert open_page.get("/sweeps/tiny").status_code == 200
    file = Path(store.url.removeprefix("sqlite:///"))
    file.rename(file.with_suffix(".away"))
    assert open_page.get("/sweeps/tiny").status_code == 200, "what is known is shown until it is back"
    answer = open_page.get("/")
    assert answer.status_code == 503
    assert "its file is not there" in answer.text
