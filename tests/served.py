"""The live page as its users start it: `sweeper dashboard` in a process of its own."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator

from playwright.sync_api import Page


@contextlib.contextmanager
def served(store: str, *options: str, **environment: str) -> Iterator[str]:
    """The address of a page over `store`, on a free port; it ends with the context."""
    command = [sys.executable, "-m", "sweeper", "dashboard", "--store", store, "--port", "0", *options]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}, start_new_session=True
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        found = re.search(r"http://\S+", said)
        assert found, said + process.stderr.read()
        yield found[0]
    finally:
        process.terminate()
        process.communicate(timeout=20)


def watched(page: Page, complaints: list[str]) -> Page:
    """The page, whose every complaint is kept: what its console says, its errors, what it couldn't load."""
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    return page


def settle(page: Page) -> None:
    """Wait until the page shows its tab, every figure of it drawn."""
    page.wait_for_function(
        "() => document.querySelector('#tab h2, #tab table, #tab p')"
        " && !document.querySelector('#tab').innerText.startsWith('Computing')"
        " && [...document.querySelectorAll('#tab figure, #detail figure')]"
        ".every((figure) => figure.querySelector('svg.main-svg'))"
    )
