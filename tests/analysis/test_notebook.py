"""The summary and the verdict as a notebook shows them: short, escaped, without a NaN, and still frames."""

import copy
import html
import pickle
import re
from collections.abc import Callable

import pandas as pd
import pytest
from finals_frames import ARMS, no_epochs, row, sweep

from sweeper import analysis
from sweeper.analysis.notebook import SummaryFrame, page, summary_frame
from sweeper.analysis.verdict import Verdict
from sweeper.experiment import Experiment, Imported, imported

MakeExperiment = Callable[..., Experiment]


@pytest.fixture
def three(make_experiment: MakeExperiment) -> Experiment:
    """sgd, adam and rmsprop, two settings each besides the untuned one, ten final seeds."""
    return make_experiment(*ARMS, "final.untuned=false")


def summary(frame: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    return analysis.summary_of(frame, no_epochs(), experiment)


def cells(text: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", text)
    return [[html.unescape(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", r)] for r in rows]


def test_a_notebook_shows_a_row_per_optimizer_with_its_numbers(three: Experiment) -> None:
    head, sgd, adam, _ = cells(page(summary(sweep(), three), three, "tiny"))
    assert head[:4] == ["optimizer", "tried", "best validation loss", "finals: test loss, mean ± sd [95 %]"]
    assert sgd[:3] == ["sgd", "2 of 2", "1.800 (best of 2)"]
    assert adam[3] == "1.250 ± 0.034 [1.226 to 1.274] (n 10)"
    assert adam[5] == "2.200"
    assert adam[-1] == "lr 0.01"


def test_a_notebook_says_what_was_lost_and_shows_no_nan(three: Experiment) -> None:
    frame = sweep(finals={})
    frame.loc[(frame["optimizer"] == "sgd") & (frame["number"] > 0), "state"] = ["failed", "queued"]
    frame.loc[(frame["optimizer"] == "adam") & (frame["number"] == 1), "state"] = "pruned"
    text = page(summary(frame, three), three, "tiny")
    _, sgd, adam, _ = cells(text)
    assert sgd[1:5] == ["0 of 2 (1 failed)", "-", "-", "-"]
    assert adam[1:3] == ["1 of 2 (1 pruned)", "1.200 (best of 1)"]
    assert "nan" not in text.lower()


def test_names_from_outside_are_escaped() -> None:
    name = "<script>alert(1)</script>"
    frame = pd.DataFrame([row(name, k, 1.0 + k) for k in range(3)])
    experiment = imported.imported("x", "val_loss", [name], Imported("a&b.csv"), trials_per_optimizer=3)
    text = page(summary(frame, experiment), experiment, "x")
    assert "<script" not in text
    assert "a&amp;b.csv" in text
    assert cells(text)[1][0] == name
    assert "<b>" not in Verdict(("<b>",))._repr_html_()


def test_the_frame_is_a_frame_with_all_columns(three: Experiment) -> None:
    plain = summary(sweep(), three)
    shown = summary_frame(plain, three, "tiny")
    assert isinstance(shown, pd.DataFrame)
    pd.testing.assert_frame_equal(shown, plain)
    assert shown.equals(plain)
    assert shown.to_csv() == plain.to_csv()
    assert repr(shown) == repr(plain)
    for other in (copy.copy(shown), copy.deepcopy(shown), pickle.loads(pickle.dumps(shown))):
        pd.testing.assert_frame_equal(pd.DataFrame(other), plain)


def test_what_is_computed_from_the_frame_is_plain_and_shown_by_pandas(three: Experiment) -> None:
    shown = summary_frame(summary(sweep(), three), three, "tiny")
    assert "<caption" in shown._repr_html_()
    for other in (
        shown.head(1),
        shown[["optimizer", "best"]],
        shown.assign(best=0),
        shown.sort_values("best"),
    ):
        assert type(other) is pd.DataFrame
    assert "<table" in SummaryFrame({"a": [1]})._repr_html_()


def test_a_verdict_is_shown_line_by_line(three: Experiment) -> None:
    found = analysis.verdict(sweep(), three)
    text = found._repr_html_()
    assert text.count("<li>") == len(found.lines) - 1
    assert f"<strong>{found.lines[0]}</strong>" in text
    assert "<ul>" not in Verdict(("No verdict.",))._repr_html_()
