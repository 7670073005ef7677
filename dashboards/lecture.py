"""The lecture's landscape on its tab: a page of its own, kept apart from this one."""

import functools

from dash import html
from dash.development.base_component import Component

from sweeper.lab import landscape as lab

PATH = "/lecture/landscape"


def landscape() -> Component:
    """The page on which the lecture's rules walk down loss landscapes, in a frame that may run its script."""
    return html.Section(
        [
            html.H2("Rules on landscapes"),
            html.P(html.A("Open it alone", href=PATH)),
            html.Iframe(src=PATH, title="Rules on loss landscapes", sandbox="allow-scripts"),
        ],
        className="part",
    )


@functools.cache
def page() -> str:
    """The landscape page. Takes two seconds once."""
    return lab.page()
