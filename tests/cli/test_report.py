"""`sweeper report`: the same numbers everywhere, nothing from outside obeyed, what is missing said."""

import csv
import html.parser
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from sweeper.analysis import shown
from sweeper.api import Sweep
from sweeper.cli import app

MakeSweep = Callable[..., Sweep]


def run(sweep: Sweep, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--store", sweep.store.url.replace("***", "")])


class Tables(html.parser.HTMLParser):
    """The texts of a page's tables by caption, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[tuple[str, list[list[str]]]] = []
        self._into: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append(("", []))
        elif tag == "tr":
            self.tables[-1][1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][1][-1].append("")
        if tag in ("td", "th", "caption"):
            self._into = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._into:
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into == "caption":
            self.tables[-1] = (data, self.tables[-1][1])
        elif self._into is not None:
            self.tables[-1][1][-1][-1] += data


def tables(page: str) -> dict[str, list[list[str]]]:
    parser = Tables()
    parser.feed(page)
    return dict(parser.tables)


def figure(page: str, key: str) -> dict[str, object]:
    found = re.search(rf'<script type="application/json" data-figure="{key}">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


# --- the same numbers -------------------------------------------------------------------------------------


def test_python_json_and_status_have_the_same_numbers_to_the_last_digit(make_sweep: MakeSweep) -> None:
    sweep = make_sweep()
    summary = shown.rows(pd.DataFrame(sweep.summary()))
    reported = json.loads(run(sweep, "report", "s", "--format", "json").stdout)
    status = json.loads(run(sweep, "status", "s", "--json").stdout)
    assert reported["summary"] == json.loads(json.dumps(summary, default=shown.jsonable))
    assert status["summary"] == reported["summary"]
    assert status["verdict"]["against"] == reported["verdict"]["against"]
    assert list(sweep.verdict().lines) == reported["verdict"]["lines"] == status["verdict"]["lines"]


def test_the_reports_means_are_those_of_the_trials_beside_it(make_sweep: MakeSweep, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    sweep = make_sweep()
    assert run(sweep, "report", "s", "--out", str(out)).exit_code == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "r.trials.csv").read_text())))
    losses = [
        float(row["test_loss"]) for row in rows if (row["optimizer"], row["phase"]) == ("adam", "final")
    ]
    [adam] = [r for r in sweep.report().record()["summary"] if r["optimizer"] == "adam"]
    assert len(losses) == adam["final_n"] == 6
    assert adam["final_mean"] == pytest.approx(sum(losses) / 6, rel=1e-15)


def test_terminal_page_and_markdown_show_the_same_cells(make_sweep: MakeSweep, tmp_path: Path) -> None:
    sweep = make_sweep()
    terminal = run(sweep, "status", "s").stdout
    markdown = run(sweep, "report", "s", "--format", "md").stdout
    page = sweep.report().html()
    finals = next(rows for title, rows in tables(page).items() if title.startswith("The finals"))
    for (_, row), cells in zip(sweep.summary().iterrows(), finals[1:], strict=True):
        mean = shown.spread(row["final_mean"], row["final_sd"])
        assert cells[0] == row["optimizer"]
        assert cells[3] == mean
        assert mean in terminal
        assert mean in markdown
    for line in sweep.verdict().lines:
        assert line in " ".join(terminal.split())


def test_the_figure_of_the_finals_holds_every_final(make_sweep: MakeSweep) -> None:
    sweep = make_sweep()
    drawn = json.dumps(figure(sweep.report().html(), "finals"))
    points = sweep.report().numbers.points
    assert len(points) == 12
    assert '"adam"' in drawn
    assert '"sgd"' in drawn


# --- what it says ------------------------------------------------------------------------------------------


def test_every_part_is_there_in_html_and_markdown(make_sweep: MakeSweep) -> None:
    sweep = make_sweep()
    report = sweep.report()
    titles = [part.title for part in report.document().sections]
    assert len(titles) == len(set(titles)) >= 11
    page, text = report.html(), report.markdown()
    for title in titles:
        assert f"## {title}" in text.replace("\\", "")
        assert f"<h2>{title.replace(chr(39), '&#39;')}</h2>" in page


def test_an_unfinished_sweep_says_what_is_missing(make_sweep: MakeSweep) -> None:
    text = make_sweep(n_finals=0, state=None).report().markdown()
    assert "No verdict yet" in text
    assert "The sweep is" in text
    assert "nan" not in text.lower().replace("tenant", "")


def test_names_and_texts_from_outside_are_shown_and_not_obeyed(make_sweep: MakeSweep) -> None:
    sweep = make_sweep()
    bad = "</script><img src=x onerror=alert(1)>"
    report = sweep.report()
    experiment = report.results.experiment
    object.__setattr__(experiment, "text", f"# {bad}\n```\n[experiment]")
    page, text = report.html(), report.markdown()
    assert bad not in page
    assert "&lt;img src=x" in page
    assert "````toml" in text


# --- the command -------------------------------------------------------------------------------------------


def test_without_out_a_page_is_written_under_the_sweeps_name(
    make_sweep: MakeSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = make_sweep()
    monkeypatch.chdir(tmp_path)
    result = run(sweep, "report", "s")
    assert result.stdout.split() == ["s.html", "s.trials.csv"]
    assert (tmp_path / "s.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("s", "--format", "pdf"), "--format pdf: must be one of html, md, json"),
        (("s", "--out", "r.pdf"), "report r.pdf: its name must end in .html, .md or .json"),
        (("s", "s"), "report s s: give one sweep's name, or two different ones"),
        (("nope", "--format", "md"), "nope"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(
    make_sweep: MakeSweep, arguments: tuple[str, ...], said: str
) -> None:
    result = run(make_sweep(), "report", *arguments)
    assert result.exit_code in (2, 3)
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not result.stdout


def test_a_run_refuses_a_report_that_cannot_be_written_before_it_begins(tmp_path: Path) -> None:
    arguments = ["run", "experiments/quickstart.toml", "--report", str(tmp_path / "r.txt")]
    result = CliRunner().invoke(app, [*arguments, "--store", f"sqlite:///{tmp_path / 's.db'}"])
    assert result.exit_code == 2
    assert "its name must end in .html, .md or .json" in result.stderr
    assert not (tmp_path / "s.db").exists()
