"""Results from elsewhere: what is taken, what is filled, and every mistake at its row."""

import math
from pathlib import Path

import pandas as pd
import pytest

from sweeper.analysis import columns, imports
from sweeper.errors import TableError, UsageError
from sweeper.experiment import imported


def table(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"optimizer": ["lion", "lion", "sgd"], "number": [0, 1, 0], **columns})


LOSSES: dict[str, list[object]] = {"val_loss": [1.0, 0.8, 1.2]}


def results(
    trials: pd.DataFrame | Path, epochs: pd.DataFrame | Path | None = None, **more: bool
) -> imports.Results:
    return imports.results("old", trials, epochs, **more)


def problems(trials: pd.DataFrame | Path, epochs: pd.DataFrame | None = None) -> list[str]:
    with pytest.raises(TableError) as caught:
        results(trials, epochs)
    return list(caught.value.problems)


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8"))
    return path


# --- what is taken ----------------------------------------------------------------------------------------


def test_an_optimizer_a_number_and_one_score_are_enough() -> None:
    found = results(table(**LOSSES))
    assert {name: str(dtype) for name, dtype in found.trials.dtypes.items()} == dict(columns.TRIALS)
    assert list(found.trials["state"]) == ["complete"] * 3
    assert list(found.trials["origin"]) == ["imported"] * 3
    assert list(found.trials["setting"]) == [0, 1, 0]
    assert found.trials["test_loss"].isna().all()
    assert not found.trials["independent"].any()
    assert found.experiment.objective == "val_loss"
    assert [arm.name for arm in found.experiment.arms] == ["lion", "sgd"]
    assert found.experiment.n_classes is None


@pytest.mark.parametrize(
    ("columns", "objective"),
    [
        ({"val_accuracy": [0.1, 0.2, 0.3], "val_loss": [1, 2, 3]}, "val_loss"),
        ({"test_accuracy": [0.1, 0.2, 0.3], "val_accuracy": [0.1, 0.2, 0.3]}, "val_accuracy"),
        ({"val_loss": [None, None, None], "test_accuracy": [0.1, 0.2, 0.3]}, "test_accuracy"),
        ({"train_loss": [1, 2, 3]}, "train_loss"),
    ],
)
def test_the_objective_is_the_validation_loss_or_the_score_that_is_there(
    columns: dict[str, list[object]], objective: str
) -> None:
    assert results(table(**columns)).experiment.objective == objective


def test_a_score_that_is_not_finite_is_a_diverged_trial() -> None:
    found = results(table(val_loss=[1.0, math.inf, math.nan])).trials
    assert list(found["state"]) == ["complete", "diverged", "diverged"]


def test_finals_are_told_by_their_phase() -> None:
    trials = table(val_loss=[1.0, 0.9, 0.8], phase=["search", "final", "final"], test_loss=[None, 1.1, 1.2])
    found = results(trials.assign(number=[4, 0, 0]))
    assert list(found.trials["origin"]) == ["imported", "final", "final"]
    assert list(found.trials["setting"]) == [4, 4, 1]  # lion's one search trial; sgd has none
    assert (found.experiment.final.top_k, found.experiment.final.seeds) == (1, 1)


def test_who_says_that_proposals_were_independent_is_believed() -> None:
    found = results(table(**LOSSES), independent=True)
    assert found.trials["independent"].all()
    assert found.experiment.imported == imported.Imported("trials in memory", independent=True)


def test_hyperparameters_are_numbers_where_all_are() -> None:
    more: dict[str, list[object]] = {"params.lr": ["0.1", "1e-3", None], "params.schedule": ["a", "2", None]}
    found = results(table(**LOSSES, **more)).trials
    assert list(found["params.lr"][:2]) == [0.1, 1e-3]
    assert list(found["params.schedule"][:2]) == ["a", "2"]
    assert found["params.lr"].isna()[2]


def test_epochs_tell_how_far_their_trials_were_trained() -> None:
    epochs = pd.DataFrame(
        {"optimizer": "lion", "number": 1, "epoch": [1, 2], "val_loss": [1.0, 0.8], "samples": [5, 9]}
    )
    found = results(table(**LOSSES), epochs)
    assert list(found.trials["epochs"]) == [0, 2, 0]
    assert list(found.trials["samples"]) == [0, 9, 0]
    assert {name: str(dtype) for name, dtype in found.epochs.dtypes.items()} == dict(columns.EPOCHS)
    assert found.experiment.budget.epochs == 2


def test_columns_that_mean_nothing_are_named_and_ignored() -> None:
    notes = results(table(**LOSSES, lr=[1, 2, 3], colour=["r", "g", "b"])).notes
    assert "column lr is ignored; as a hyperparameter it is called params.lr" in notes[0]
    assert "column colour is ignored" in notes[1]


# --- files as spreadsheets write them ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "optimizer,number,val_loss\nlion,0,0.5\nsgd,0,0.7\n",
        "\ufeffoptimizer;number;val_loss\r\nlion;0;0.5\r\nsgd;0;0.7\r\n",
        "optimizer\tnumber\tval_loss\nlion\t0\t0.5\nsgd\t0\t0.7",
        '"optimizer","number"," val_loss "\n"lion","0","0.5"\n"sgd"," 0 ","0.7"\n',
    ],
)
def test_commas_semicolons_tabs_marks_and_quotes_are_read(tmp_path: Path, text: str) -> None:
    found = results(written(tmp_path / "t.csv", text)).trials
    assert list(zip(found["optimizer"], found["number"], found["val_loss"], strict=True)) == [
        ("lion", 0, 0.5),
        ("sgd", 0, 0.7),
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("absent.csv", None, "no such file"),
        ("t.xlsx", "PK", "must end in .csv, .tsv or .parquet"),
        ("t.parquet", "nothing of the kind", "is no table that can be read"),
        ("t.csv", "", "is no table that can be read"),
    ],
)
def test_what_is_no_table_is_told_in_one_line(
    tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=said) as caught:
        results(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"sep=;\noptimizer;number;val_loss\nlion;1;0.5\n",
        "optimizer\tnumber\tval_loss\nlion\t1\t0.5\n".encode("utf-16"),
        "optimizer|number|val_loss\n\n|||\nlion|1|0.5\n".replace("|||", "||").encode(),
        b'"optimizer","number","val_loss","colour, of it"\nlion,1,5e-1,red\n',
    ],
)
def test_what_spreadsheets_do_to_a_table_is_undone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    [found] = results(tmp_path / "t.csv").trials.to_dict("records")
    assert (found["optimizer"], found["number"], found["val_loss"]) == ("lion", 1, 0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("optimizer,number,val_loss\na,1,1,5\n", "Expected 3 fields in line 2, saw 4"),
        ("optimizer,number,val_loss,val_loss\na,1,1,5\n", "columns val_loss stand there twice"),
        ("Optimizer,number,val_loss\na,1,1\n", "optimizer is missing (did you mean Optimizer?)"),
        ("optimizer,number,val_loss\n\na,x,1\n", "row 3: number = x"),
    ],
)
def test_no_cell_is_moved_to_another_column_or_row(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        results(written(tmp_path / "t.csv", text))
    assert said in str(caught.value)


def test_text_that_is_not_utf_8_is_told_how_to_save_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("optimizer,number,val_loss\nä,0,1\n".encode("cp1252"))
    with pytest.raises(UsageError, match="save it as CSV UTF-8"):
        results(tmp_path / "t.csv")


def test_times_are_read_as_iso_8601_only(tmp_path: Path) -> None:
    heading = "optimizer,number,val_loss,started_at\n"
    times = ["2026-03-01T12:00:00+00:00", "2026-03-01T13:00:00.5+01:00", "2026-03-01 12:00"]
    text = heading + "".join(f"a,{n},1,{time}\n" for n, time in enumerate(times))
    found = results(written(tmp_path / "t.csv", text)).trials["started_at"]
    assert list(found - found[0]) == [pd.Timedelta(0), pd.Timedelta("0.5s"), pd.Timedelta(0)]
    text = heading + "a,0,1,45000.5\na,1,1,3/1/2026 12:00\n"  # a spreadsheet's day number, and whose March?
    assert len(problems(written(tmp_path / "t.csv", text))) == 2


def test_whole_numbers_keep_every_digit(tmp_path: Path) -> None:
    text = f"optimizer,number,val_loss,seed\na,0,1,{2**63 - 1}\na,1,1,\na,2,1,{2**53 + 1}\n"
    found = results(written(tmp_path / "t.csv", text)).trials["seed"]
    assert list(found) == [2**63 - 1, -1, 2**53 + 1]


# --- mistakes ---------------------------------------------------------------------------------------------


def test_every_mistake_is_told_at_once_with_its_row(tmp_path: Path) -> None:
    text = 'optimizer,number,val_accuracy,val_loss\nlion,0,50%,0.1\nlion,1.5,42,0.2\nsgd,2,0.1,"1,5"\n'
    found = problems(written(tmp_path / "t.csv", text))
    assert [line.partition("t.csv ")[2] for line in found] == [
        "row 3: number = 1.5: must be a whole number from 0 to 1,000,000,000",
        "row 2: val_accuracy = 50%: must be a number; decimals are written 0.5",
        "row 3: val_accuracy = 42: must be an accuracy from 0 to 1; 42 % is written 0.42",
        "row 4: val_loss = 1,5: must be a number; decimals are written 0.5",
    ]


def test_missing_columns_and_scores_are_named() -> None:
    found = problems(pd.DataFrame({"opt": ["sgd"]}))
    assert any("column optimizer is missing" in line for line in found)
    assert any("column number is missing" in line for line in found)
    assert any("no score; one column of val_loss" in line for line in found)


def test_a_trial_that_stands_there_twice_or_has_no_name_is_told() -> None:
    assert (
        "row 3: lion number 0 of phase search stands there twice"
        in problems(table(**LOSSES).assign(number=0))[0]
    )
    assert any(
        "row 2: optimizer is empty" in p for p in problems(table(**LOSSES).assign(optimizer=[None, "a", "b"]))
    )


def test_a_number_that_no_database_holds_is_told() -> None:
    wrong = {"number": [10**9 + 1, 1, 2], "seed": [2**63, 1, 2], "optimizer": ["a", "b" * 101, "c"]}
    found = problems(table(**LOSSES).assign(**wrong))
    assert [line.split(" = ")[0] for line in found] == [
        "trials in memory row 2: number",
        "trials in memory row 2: seed",
        "trials in memory row 3: optimizer",
    ]


def test_a_hyperparameter_that_is_a_number_is_one_in_every_row() -> None:
    more: dict[str, list[object]] = {"params.lr": [0.1, "0,1", None]}
    [line] = problems(table(**LOSSES, **more))
    assert "row 3: params.lr = 0,1: must be a number" in line


def test_finals_say_which_setting_they_repeat() -> None:
    rows = [("a", 1, "search", None), ("a", 2, "search", None), ("a", 0, "final", None)]
    rows += [("a", 1, "final", 9), ("b", 0, "search", None), ("b", 0, "final", 0)]
    frame = pd.DataFrame(rows, columns=["optimizer", "number", "phase", "setting"]).assign(val_loss=1.0)
    assert [line.removeprefix("trials in memory ") for line in problems(frame)] == [
        "row 4: setting is empty: must be the number of the search trial repeated",
        "row 5: setting = 9: must be the number of a search trial of a",
        "row 7: setting = 0: must be 1 or more: 0 is the untuned one (origin default); number search trials "
        "from 1",
    ]


def test_an_origin_of_the_other_phase_is_told() -> None:
    [line] = problems(table(**LOSSES, origin=["superseded", None, "default"]))
    assert "row 2: origin = superseded: must be one of imported, proposed, default in phase search" in line


def test_mistakes_in_both_tables_are_told_at_once() -> None:
    epochs = pd.DataFrame({"optimizer": "lion", "number": 1, "epoch": [0, 1], "val_loss": ["x", 1]})
    found = problems(table(val_loss=["?", 1, 2]), epochs)
    assert [line.split(":")[1].split(" =")[0].strip() for line in found] == ["val_loss", "epoch", "val_loss"]


@pytest.mark.parametrize(("column", "cell"), [("state", "done"), ("phase", "test"), ("origin", "mine")])
def test_words_that_mean_nothing_are_told_with_those_that_do(column: str, cell: str) -> None:
    [line] = problems(table(**LOSSES).assign(**{column: cell}).iloc[:1])
    assert f"{column} = {cell}: must be one of " in line


def test_an_epoch_without_its_trial_or_twice_is_told() -> None:
    epochs = pd.DataFrame({"optimizer": ["lion", "x", "lion"], "number": [1, 0, 1], "epoch": 1})
    found = problems(table(**LOSSES), epochs)
    assert any("row 3: there is no trial x number 0" in line for line in found)
    assert any(
        "row 4: this epoch of lion number 1 of phase search stands there twice" in line for line in found
    )


def test_of_many_mistakes_the_first_twenty_are_told() -> None:
    many = pd.DataFrame({"optimizer": "sgd", "number": range(50), "val_loss": "x"})
    found = problems(many)
    assert len(found) == 21
    assert found[-1].startswith("... and ")
