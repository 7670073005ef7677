"""The report's blocks as components: the texts and tables that its page has; figures are in `screens`."""

from dash import html
from dash.development.base_component import Component

from sweeper.analysis.report import blocks


def block(one: blocks.Block) -> Component:
    """One block; of a figure its answer alone."""
    match one:
        case blocks.Text(lines):
            return html.Div([html.P(line) for line in lines])
        case blocks.Points(lines):
            return html.Ul([html.Li(line) for line in lines])
        case blocks.Missing(why):
            return html.P(why, className="missing")
        case blocks.Table():
            return table(one)
        case blocks.Drawing():
            return html.P(one.answer)
        case blocks.Code(text, language, title):
            lines = html.Pre(html.Code(text, className=language), tabIndex=0)
            return html.Div([html.H3(title), lines]) if title else lines
        case blocks.Warned(text, line):
            return html.Div([html.P(text), html.Pre(html.Code(line), tabIndex=0)], className="warned")
        case blocks.Folded(title, inner):
            return html.Details([html.Summary(title), *(block(each) for each in inner)])


def table(one: blocks.Table) -> Component:
    """A table with its headings; it scrolls by itself where it is too wide."""
    parts: list[Component] = [html.Caption(one.title)] if one.title else []
    if any(one.headings):
        heads = [html.Th(text, scope="col", **_kind(k, one)) for k, text in enumerate(one.headings)]
        parts.append(html.Thead(html.Tr(heads)))
    rows = [
        html.Tr(
            [html.Th(row[0], scope="row", **_kind(0, one))]
            + [html.Td(text, **_kind(k, one)) for k, text in enumerate(row) if k]
        )
        for row in one.rows
    ]
    return html.Div(html.Table([*parts, html.Tbody(rows)]), className="wide", tabIndex=0)


def _kind(column: int, one: blocks.Table) -> dict[str, str]:
    return {"className": "word"} if column in one.words else {}
