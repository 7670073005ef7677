"""Text from outside in the store: kept as it is, never touching another sweep, shown and never obeyed."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from bad_input.strategies import ATTACKS, hostile, hostile_with_nul
from bad_input.sweeps import EXPERIMENT, write_sweep
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner, Result

from sweeper import api
from sweeper.analysis import frames
from sweeper.cli import app, progress, tables
from sweeper.errors import NotFoundError, SweepExistsError
from sweeper.records import Phase, SweepState, TrialKey, TrialState
from sweeper.store import Store, SweepEnded

OBEYED = [n for n, text in enumerate(ATTACKS) if re.search(r"[^ -~]|[\[:<%=]|x{99}", text)]
"""Which attacks a terminal, its library, a browser or a spreadsheet would do something about."""

ESCAPED = re.compile("[\0\ud800-\udfff]")


def kept(text: str) -> str:
    """What the store makes of a text: escapes for what no database takes, and nothing else."""
    return ESCAPED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store to which every example adds a sweep, beside one that none of them may touch."""
    store = Store.open(f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}", create=True)
    write_sweep(store, "victim")
    yield store
    store.close()


@given(hostile_with_nul, hostile_with_nul, st.dictionaries(hostile, hostile | st.floats(-1, 1), max_size=3))
def test_text_is_read_back_as_it_was_written(
    shared: Store, name: str, said: str, params: dict[str, str | float]
) -> None:
    name = f"{name}{len(shared.sweeps())}"
    experiment = replace(EXPERIMENT, text=said)
    write_sweep(shared, name, said=said, params=params, experiment=experiment, facts={said: [said, {}]})
    info = shared.sweep(name)
    assert (info.name, info.experiment_text, info.facts[said]) == (kept(name), kept(said), [said, {}])
    failed = shared.trials(name)[1]
    assert (failed.state, failed.error) == (TrialState.FAILED, kept(said))
    assert {key: failed.trial.params[key] for key in params} == params
    attempts = frames.attempts(shared, name)
    assert attempts.loc[1, ["worker", "node", "device", "why"]].tolist() == [kept(said)] * 4 or not said
    row = frames.trials(shared, name).iloc[1]
    assert [row["sweep"], row["error"]] == [kept(name), kept(said)]
    for key, value in params.items():
        assert row[f"params.{kept(key)}"] == (kept(value) if isinstance(value, str) else value)


@given(hostile_with_nul)
def test_a_hostile_name_touches_no_other_sweeps_rows(shared: Store, name: str) -> None:
    before, names = rows_of(shared, "victim"), [info.name for info in shared.sweeps()]
    name = f"{name}'{len(names)}"
    write_sweep(shared, name, said=name)
    with pytest.raises(SweepExistsError):
        shared.require_unused(name)
    with pytest.raises(NotFoundError):
        shared.sweep(f"{name}' --")
    taken = shared.take_sweep(name, 30)
    taken.commit([SweepEnded(SweepState.STOPPED)])
    taken.release()
    assert rows_of(shared, "victim") == before
    assert [info.name for info in shared.sweeps()] == [kept(name), *names]
    assert {stored.key.optimizer for stored in shared.trials(name)} == {"sgd"}


def rows_of(store: Store, name: str) -> list[tuple[object, ...]]:
    """Every row of every table that belongs to the sweep."""
    of_trials = "JOIN trials t ON t.id = x.trial_id JOIN sweeps s ON s.id = t.sweep_id"
    tables = (
        "s.* FROM sweeps s",
        "t.* FROM trials t JOIN sweeps s ON s.id = t.sweep_id",
        f"x.* FROM attempts x {of_trials}",
        f"x.* FROM epochs x {of_trials}",
    )
    with store.engine.connect() as connection:
        return [
            tuple(row)
            for table in tables
            for row in connection.exec_driver_sql(f"SELECT {table} WHERE s.name = '{name}'")
        ]


@pytest.fixture(scope="module")
def hostile_sweeps(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store with a sweep for every attack, called by its number, in which the attack is said."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}"
    store = Store.open(url, create=True)
    for number, attack in enumerate(ATTACKS):
        write_sweep(store, str(number), said=attack)
    write_sweep(store, ATTACKS[6], said="fine")
    store.close()
    return url


def call(*words: str) -> Result:
    done = CliRunner().invoke(app, words, color=True)
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.stdout
    return done


@pytest.mark.parametrize("number", OBEYED, ids=lambda n: ascii(ATTACKS[n])[:20])
def test_what_an_error_says_is_shown_and_not_obeyed(hostile_sweeps: str, tmp_path: Path, number: int) -> None:
    said = kept(ATTACKS[number])
    where = ("--store", hostile_sweeps)
    shown = call("show", str(number), "sgd", "1", *where).stdout
    assert all(line.isprintable() for line in shown.splitlines())
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in said)
    start = f"error:{escaped}"[:60]  # a long one is broken into lines
    assert "".join(start.split()) in "".join(shown.split())
    assert json.loads(call("show", str(number), "sgd", "1", "--json", *where).stdout)["error"] == said
    call("export", str(number), "--out", str(tmp_path), *where)
    exported = pd.read_csv(tmp_path / "trials.csv", keep_default_na=False, dtype=str)
    assert exported["error"].tolist() == ["", said]
    assert exported["number"].tolist() == ["0", "1"]


def test_a_hostile_sweep_is_listed_as_it_is_called(hostile_sweeps: str) -> None:
    assert "[bold]red[/bold]" in call("list", "--store", hostile_sweeps).stdout
    names = [row["name"] for row in json.loads(call("list", "--json", "--store", hostile_sweeps).stdout)]
    assert names == [ATTACKS[6], *(str(n) for n in reversed(range(len(ATTACKS))))]


def test_the_best_setting_of_a_hostile_sweep_runs_no_line_of_its_name(store: Store) -> None:
    name = "x\nimport os; os.abort()\n[space]"
    write_sweep(store, name)
    best = api.Sweep(store, name).best()
    for answer in (best.toml(), best.python()):
        assert "\nimport os;" not in answer
        assert "\n[space]\nbatch_size" in answer or "import torch" in answer


@given(hostile_with_nul)
def test_the_cause_of_a_lost_attempt_is_one_literal_line_of_progress(said: str) -> None:
    out = io.StringIO()
    lines = progress._Lines(Console(file=out, emoji=False, width=80))
    lines.begins("s", EXPERIMENT, [], [said])
    lines.lost(TrialKey("sgd", Phase.SEARCH, 0), 1, said)
    _, note, lost = out.getvalue().rstrip("\n").split("\n")
    assert lost.startswith("sgd/0 attempt 1 lost: ")
    assert note.isprintable()
    assert lost.isprintable()
    if said.isprintable() and len(said) < 900:
        assert (note, lost.partition("lost: ")[2]) == (said, said)


@given(st.lists(hostile_with_nul, min_size=1, max_size=3))
def test_a_table_shows_its_cells_literally(texts: list[str]) -> None:
    out = io.StringIO()
    table = tables.records("Attempts", pd.DataFrame({"why": list(map(kept, texts))}, dtype="str"), ("why",))
    Console(file=out, emoji=False, width=2_000).print(table, markup=False, highlight=False)
    rows = [line.strip() for line in out.getvalue().split("\n")[3:] if line.strip()]
    assert all(row.isprintable() for row in rows)
    short = [text for text in texts if text.isprintable() and 0 < len(text) < 900 and text == text.strip()]
    assert {text for text in short} <= set(rows)
