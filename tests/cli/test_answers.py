"""`sweeper best`: what it prints of a stored sweep, and when it refuses."""

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from sweeper import experiment as experiments
from sweeper.api import Sweep
from sweeper.cli import app
from sweeper.errors import NotFoundError, UsageError
from sweeper.records import SweepState
from sweeper.space import Fixed
from sweeper.store import Store

MakeSweep = Callable[..., Sweep]


@pytest.fixture
def best(store: Store) -> Callable[..., Result]:
    def call(*words: str) -> Result:
        return CliRunner().invoke(app, ["best", *words, "--store", store.url])

    return call


def test_the_leaders_best_setting_is_a_piece_of_an_experiment_file(
    make_sweep: MakeSweep, best: Callable[..., Result]
) -> None:
    trial = make_sweep().best().trial
    done = best("s")
    assert (done.exit_code, done.stderr) == (0, "")
    (arm,) = experiments.loads('[experiment]\nname = "again"\n' + done.stdout).arms
    assert arm.name == "adam"
    assert {key: d.value for key, d in arm.space.items() if isinstance(d, Fixed)} == trial.params
    assert done.stdout.startswith(
        "# adam's best setting in sweep s: trial adam/1, validation loss 1.2,\n"
        "# the best of 2 tried; linear on synthetic, 200 images, 2 epochs.\n"
        "# Trained again with 6 fresh seeds: test loss 1.2250 ± 0.0187, test accuracy 0.5917 ± 0.0062"
    )


def test_another_optimizers_best_is_given_as_torch_and_as_json(
    make_sweep: MakeSweep, best: Callable[..., Result]
) -> None:
    make_sweep()
    python = best("s", "--optimizer", "sgd", "--format", "python").stdout
    assert python.splitlines()[-1] == "optimizer = torch.optim.SGD(model.parameters(), lr=0.003)"
    answer = json.loads(best("s", "--optimizer", "sgd", "--format", "json").stdout)
    assert (answer["sweep"], answer["optimizer"], answer["number"]) == ("s", "sgd", 2)
    assert (answer["score"], answer["tried"], answer["final_n"]) == (1.8, 2, 6)
    assert answer["params"]["batch_size"] == 64
    assert answer["complete"] is True


def test_a_sweep_that_goes_on_is_answered_so_far(make_sweep: MakeSweep, best: Callable[..., Result]) -> None:
    make_sweep(n_finals=0, state=None)
    done = best("s", "--format", "json")
    assert done.stderr == "sweeper: so far: sweep s is not complete\n"
    answer = json.loads(done.stdout)
    assert (answer["optimizer"], answer["final_mean"], answer["final_n"]) == ("adam", None, 0)
    assert "# So far: the sweep is not complete." in best("s").stdout


def test_a_joint_search_has_one_best_of_all_that_were_tried(make_sweep: MakeSweep) -> None:
    sweep = make_sweep('search.mode="joint"')
    assert (sweep.best().optimizer, sweep.best().n_tried) == ("adam", 4)
    assert sweep.best("adam").n_tried == 2


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("nobody",), 3, "no sweep is called 'nobody'"),
        (("s", "--optimizer", "lion"), 2, "optimizer 'lion' is not in sweep 's'; its optimizers: sgd, adam"),
        (("s", "--format", "yaml"), 2, "--format yaml: must be one of toml, python, json"),
    ],
)
def test_what_can_not_be_answered_is_a_line(
    words: tuple[str, ...], status: int, said: str, make_sweep: MakeSweep, best: Callable[..., Result]
) -> None:
    make_sweep(state=SweepState.COMPLETE)
    done = best(*words)
    assert done.exit_code == status
    assert said in done.stderr
    assert (done.stdout, len(done.stderr.splitlines())) == ("", 1)


def test_a_sweep_in_which_nothing_is_complete_has_no_best(
    store: Store, make_experiment: Callable[..., experiments.Experiment]
) -> None:
    experiment = make_experiment("optimizers.sgd={}")
    store.create_sweep("empty", experiment.document(), "", {}, 30)
    with pytest.raises(NotFoundError, match="has no complete trial yet besides the untuned setting"):
        Sweep(store, "empty").best()
    with pytest.raises(NotFoundError, match="has no complete trial of sgd yet"):
        Sweep(store, "empty").best("sgd")
    with pytest.raises(UsageError):
        Sweep(store, "empty").best("adam")
