"""The part on the workers: the share of paid time that was training, the timeline, and a row for each."""

import pandas as pd
from attempt_frames import RUNNING, at, attempt, attempts

from sweeper.analysis import figures
from sweeper.analysis.report.blocks import Block, Drawing, Missing, Section, Table, Text
from sweeper.analysis.report.workers import workers


def only(part: Section, kind: type[Block]) -> Block:
    [block] = [block for block in part.blocks if isinstance(block, kind)]
    return block


def test_the_utilization_of_a_running_sweep_is_said() -> None:
    text = only(workers(RUNNING, now=at(22)), Text)
    assert isinstance(text, Text)
    assert text.lines == (
        "2 workers, 22 s: 36% of 28 s of paid worker time was training, 4 s evaluation.",
        "1 worker at work: what is under way counts up to now, with the seconds that it has recorded.",
    )


def test_each_worker_is_a_row() -> None:
    table = only(workers(RUNNING, now=at(22)), Table)
    assert isinstance(table, Table)
    assert table.rows == (
        ("1/0", "n1", "cpu", "2", "1", "8 s", "4 s", "2 s", "50%", "nothing"),
        ("1/1", "n1", "cpu", "2", "0", "20 s", "6 s", "2 s", "30%", "adam/final/3"),
    )


def test_what_is_under_way_is_drawn_up_to_now() -> None:
    drawing = only(workers(RUNNING, now=at(22)), Drawing)
    assert isinstance(drawing, Drawing)
    [final] = [trace for trace in drawing.figure.data if trace.name == "adam, final"]
    assert (final.base[0], final.x[0]) == (7.0, 15.0)
    assert drawing.answer == "4 attempts on 2 workers in 22 s; 1 was lost, 1 under way."


def test_the_timeline_leaves_out_what_is_under_way_without_now() -> None:
    figure = figures.timeline(RUNNING)
    assert sum(len(trace.x) for trace in figure.data) == 3
    assert figure.layout.meta["answer"] == "3 attempts on 2 workers in 8 s; 1 was lost."


def test_of_hundreds_of_workers_the_first_are_listed_and_the_rest_counted() -> None:
    part = workers(attempts(*(attempt(f"1/{k}", k, k, k + 1) for k in range(250))))
    table, last = only(part, Table), part.blocks[-1]
    assert isinstance(table, Table)
    assert isinstance(last, Text)
    assert [len(table.rows), table.rows[-1][0]] == [100, "1/99"]
    assert last.lines == ("The first 100 of 250 workers; 150 more are not shown.",)
    figure = only(part, Drawing).figure  # type: ignore[union-attr]
    assert figure.layout.height == 900
    assert len(figure.layout.yaxis.tickvals) <= 40


def test_without_times_there_is_nothing_to_show() -> None:
    part = workers(attempts(attempt(None, 0, None, None)))
    assert part.blocks == (Missing("No workers: the attempts tell no times and no workers."),)


def test_before_the_first_attempt_there_is_nothing_to_show() -> None:
    part = workers(RUNNING.iloc[:0], now=at(0))
    assert part.blocks == (Missing("No workers: no attempt has begun."),)


def test_a_first_attempt_under_way_is_listed_without_now_too() -> None:
    part = workers(RUNNING.iloc[3:])
    assert [type(block) for block in part.blocks] == [Text, Table]


def test_a_worker_without_a_node_shows_none() -> None:
    table = only(workers(attempts(attempt("1/0", 0, 0, 1, node=None))), Table)
    assert isinstance(table, Table)
    assert table.rows[0][1] == "-"
    assert pd.notna(table.rows[0][2])
