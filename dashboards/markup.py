"""Components as plain HTML: what a page shows before its script runs, and without any script."""

from typing import Any

from dash.development.base_component import Component
from markupsafe import Markup, escape

ATTRIBUTES = {"className": "class", "tabIndex": "tabindex", "colSpan": "colspan", "htmlFor": "for"}
"""HTML's own names of what components call otherwise."""

LINK = {"href": "href", "className": "class", "title": "title"}


def markup(node: Any) -> Markup:
    """A component, a text, or a list of them; what only a script can draw is left out."""
    if node is None:
        return Markup()
    if isinstance(node, (list, tuple)):
        return Markup().join(markup(each) for each in node)
    if not isinstance(node, Component):
        return escape(str(node))
    if node._namespace == "dash_html_components":
        return _element(node._type.lower(), _attributes(node), markup(getattr(node, "children", None)))
    if node._type == "Link":
        known = {name: getattr(node, key, None) for key, name in LINK.items()}
        return _element("a", known, markup(getattr(node, "children", None)))
    return Markup()


def _attributes(node: Component) -> dict[str, Any]:
    told = {key: value for key, value in node.to_plotly_json()["props"].items() if key != "children"}
    return {ATTRIBUTES.get(key, key): value for key, value in told.items() if not isinstance(value, dict)}


def _element(tag: str, attributes: dict[str, Any], inner: Markup) -> Markup:
    told = Markup().join(
        Markup(' {}="{}"').format(key, value) for key, value in attributes.items() if value is not None
    )
    return Markup("<{}{}>{}</{}>").format(tag, told, inner, tag)
