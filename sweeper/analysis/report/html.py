"""A report as one HTML page that opens without network, in light and dark, and prints."""

import json
from importlib import resources
from typing import Any

import jinja2
import plotly.offline
from markupsafe import Markup

from sweeper.analysis.figures import themes
from sweeper.analysis.report.blocks import Block, Document, Drawing, Folded


def page(document: Document) -> str:
    """The document as a page; plotly is in it once, and only if something is drawn."""
    drawings = [one for part in document.sections for one in _drawings(part.blocks)]
    return _template("page.html").render(
        document=document,
        style=Markup(style()),  # our own files: nothing from outside is marked as safe
        script=Markup(_read("page.js")),
        plotly=Markup(plotly.offline.get_plotlyjs()) if drawings else "",
        figures={one.key: Markup(_figure(one)) for one in drawings},
        themes=Markup(_inert(themes())),
    )


def style() -> str:
    """The page's style sheet."""
    return _read("page.css")


def _drawings(blocks: tuple[Block, ...]) -> list[Drawing]:
    found: list[Drawing] = []
    for block in blocks:
        if isinstance(block, Drawing):
            found.append(block)
        elif isinstance(block, Folded):
            found += _drawings(block.blocks)
    return found


def _figure(drawing: Drawing) -> str:
    """The figure as JSON, without a template: the page has both."""
    figure: dict[str, Any] = json.loads(drawing.figure.to_json())
    figure["layout"].pop("template", None)
    return _inert(figure)


def _inert(value: Any) -> str:
    """JSON for a script element: nothing in it ends the element."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _template(name: str) -> jinja2.Template:
    loader = jinja2.PackageLoader("sweeper.analysis.report", "templates")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(name)


def _read(name: str) -> str:
    return (resources.files("sweeper.analysis.report") / "templates" / name).read_text(encoding="utf-8")
