"""Who may see the page, and what a browser may do with it."""

import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

import flask
from flask.typing import ResponseReturnValue

from dashboards import lecture

LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
"""The names of this machine: a page that another name leads to is asked for by somebody else's script."""

COOKIE = "sweeper"
OPEN = ("/healthz", "/login", "/report.css")
"""What nobody needs a token for; there is nothing in it."""

MOST_BYTES = 64_000
"""Of a request's body: what the page itself asks is far smaller."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

# Dash's components and plotly set styles in attributes; scripts are ours, and those of known hashes.
POLICY = (
    "default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

# One file with all its scripts in it, in a frame that has no origin: it can reach nothing of ours.
LANDSCAPE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; frame-ancestors 'self'; "
    "sandbox allow-scripts"
)


class Guard:
    """Lets nobody in without the token, or, where there is none, by another name than one of `hosts`.

    `scripts` are the hashes of the page's inline scripts.
    """

    def __init__(self, *, scripts: Sequence[str], token: str | None, hosts: frozenset[str]) -> None:
        self._policy = POLICY.format(scripts=" ".join(scripts))
        self._token = token
        self._hosts = hosts

    def protect(self, server: flask.Flask) -> None:
        """Stand before every request to `server`, and behind every answer."""
        server.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
        server.before_request(self.admit)
        server.after_request(self.finish)
        server.add_url_rule("/login", view_func=self.login, methods=["GET", "POST"])

    def admit(self) -> ResponseReturnValue | None:
        """None where the request may go on."""
        request = flask.request
        if request.path in OPEN:
            return None
        if self._token is None:
            return None if _host(request.host) in self._hosts else _text(403, WRONG_HOST)
        if _has_token(self._token):
            return None
        if request.method == "GET" and request.accept_mimetypes.accept_html and not _is_script():
            return flask.redirect(f"/login?{urlencode({'next': request.full_path.rstrip('?')})}")
        return _text(401, "the token is needed: log in, or send it as Authorization: Bearer TOKEN")

    def login(self) -> ResponseReturnValue:
        """The form that takes the token, and gives a cookie for it."""
        if self._token is None:
            return flask.redirect("/")
        if flask.request.method == "GET":
            return _form()
        if not _is_same(flask.request.form.get("token", ""), self._token):
            return _form(403, "That is not the token.")
        answer = flask.redirect(_inside(flask.request.args.get("next", "")))
        is_secure = flask.request.is_secure
        session = _session(self._token)
        answer.set_cookie(COOKIE, session, httponly=True, samesite="Strict", secure=is_secure)
        return answer

    def finish(self, answer: flask.Response) -> flask.Response:
        """The answer with what a browser must know of it."""
        if status := flask.g.pop("status", None):
            answer.status_code = status
        is_landscape = flask.request.path == lecture.PATH
        answer.headers.update(HEADERS)
        answer.headers["Content-Security-Policy"] = LANDSCAPE_POLICY if is_landscape else self._policy
        if "_dash-component-suites" not in flask.request.path:  # those have their version in their name
            answer.headers["Cache-Control"] = "no-store"
        return answer


WRONG_HOST = "this page answers to localhost only; `sweeper dashboard --host HOST --token TOKEN` opens it"


def _has_token(token: str) -> bool:
    request = flask.request
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return _is_same(given.strip(), token)
    return _is_same(request.cookies.get(COOKIE, ""), _session(token))


def _is_script() -> bool:
    """Whether a script asks, which can't log in: the page itself, or a program."""
    return flask.request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate"


def _is_same(given: str, wanted: str) -> bool:
    """Whether two texts are the same, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(
        hashlib.sha256(given.encode()).digest(), hashlib.sha256(wanted.encode()).digest()
    )


def _session(token: str) -> str:
    """What a browser that has logged in brings along: worth nothing for finding out the token."""
    return hmac.new(token.encode(), b"sweeper live page", hashlib.sha256).hexdigest()


def _host(named: str) -> str:
    """A Host header's name, without its port."""
    name = named.rpartition(":")[0] if named.rpartition(":")[2].isdigit() else named
    return name.strip("[]").lower()


def _inside(target: str) -> str:
    """A path on this server, whatever somebody put into the link."""
    parts = urlsplit(target)  # which leaves out what browsers leave out: tabs, and ends of lines
    is_path = target.startswith("/") and not parts.netloc and "\\" not in target and target.isprintable()
    return target if is_path else "/"


def _text(status: int, line: str) -> flask.Response:
    return flask.Response(f"{line}\n", status=status, mimetype="text/plain")


def _form(status: int = 200, line: str = "") -> flask.Response:
    return flask.Response(flask.render_template_string(_LOGIN, line=line), status=status)


_LOGIN = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in · Sweeper</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/report.css">
</head>
<body>
<main>
<h1>Sweeper</h1>
<form method="post">
<p><label>Token
<input type="password" name="token" autocomplete="current-password" autofocus required></label>
<button>Log in</button></p>
{% if line %}<p role="alert"><strong>{{ line }}</strong></p>{% endif %}
</form>
<p class="missing">It is what <code>sweeper dashboard --token</code> was given.</p>
</main>
</body>
</html>
"""
