import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sweeper import experiment as experiments
from sweeper import optimizers
from sweeper.errors import ExperimentError, UsageError
from sweeper.experiment import Experiment
from sweeper.space import Choice, Fixed, Range

MINIMAL = '[experiment]\nname = "t"\n'
SIX = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
EXPERIMENTS = sorted((Path(__file__).parents[2] / "experiments").glob("*.toml"))

# Every key of the experiment file with its default, as the design lists them.
DESIGN = """
[experiment]
name = "t"
seed = 0
objective = "val_loss"

[data]
name = "cifar10"
train_size = 45000
val_size = 5000
test_size = 10000
augment = false

[model]
name = "cnn"
hidden = [256]
channels = [16, 32, 64]
init = "kaiming"
input_size = 32

[loss]
name = "cross_entropy"

[budget]
trials_per_optimizer = 16
epochs = 10
eval_every = 1
max_seconds = 0

[search]
mode = "per_optimizer"
sampler = "tpe"
startup_trials = "half"
repeats = 1
pruner = "none"
reduction_factor = 3
min_epochs = "quarter"

[final]
top_k = 1
seeds = 10
untuned = true

[resources]
workers = "auto"
cpus_per_trial = 1
gpus_per_trial = "auto"
attempts = 3
hang_factor = 20
lease_s = 30

[checkpoint]
every_epochs = 0
directory = ""

[report]
targets = []

[space]
batch_size = [64, 128]
weight_decay = 0.0
schedule = "constant"
sampling = "shuffle"
"""
DESIGN_KEYS = [
    f"{table}.{key}={json.dumps(value)}"
    for table, keys in tomllib.loads(DESIGN).items()
    for key, value in keys.items()
]


def loads(*settings: str, text: str = MINIMAL) -> Experiment:
    return experiments.loads(text, settings)


def problems(*settings: str, text: str = MINIMAL) -> tuple[str, ...]:
    with pytest.raises(ExperimentError) as refused:
        experiments.loads(text, settings)
    return refused.value.problems


def the_problem(*settings: str, text: str = MINIMAL) -> str:
    found = problems(*settings, text=text)
    assert len(found) == 1, found
    return found[0]


def same(one: Experiment, other: Experiment) -> bool:
    return dataclasses.replace(one, text="") == dataclasses.replace(other, text="")


# --- keys and defaults -----------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", DESIGN_KEYS)
def test_every_key_of_the_design_is_accepted_with_its_default(setting: str) -> None:
    assert same(loads(setting, "experiment.name=t"), loads())


def test_every_default_is_the_designs() -> None:
    assert same(loads(), loads(text=DESIGN))


def test_no_key_exists_that_the_design_does_not_list() -> None:
    document = loads().document()
    del document["optimizers"]
    assert {table: set(keys) for table, keys in document.items()} == {
        table: set(keys) for table, keys in tomllib.loads(DESIGN).items()
    }


def test_only_the_name_has_no_default() -> None:
    assert loads().name == "t"
    line = the_problem(text="")
    assert line.startswith("experiment.name: missing; must be")


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_an_experiment_that_ships_is_valid_and_named_for_its_file(path: Path) -> None:
    assert experiments.read(path).name == path.stem


def test_experiments_ship() -> None:
    assert EXPERIMENTS


def test_an_experiment_keeps_its_own_text() -> None:
    assert loads().text == MINIMAL


# --- mistakes --------------------------------------------------------------------------------------------


def test_every_mistake_is_reported_at_once_with_key_value_and_what_is_legal() -> None:
    text = """
    [experiment]
    name = "a b"
    seed = -1
    [data]
    train_size = "many"
    [model]
    name = "cnnn"
    hidden = []
    [budget]
    epochs = 0
    epoch = 3
    [search]
    startup_trials = "third"
    [resources]
    gpus_per_trial = -0.5
    [space]
    batch_size = [64, 0]
    lr = 0.1
    [optimizers.adma]
    [optimizers.adam]
    beta3 = 0.5
    lr = { low = 1.0, high = 0.1 }
    [modle]
    """
    shared = "batch_size, weight_decay, schedule, sampling, init"
    assert set(problems("budget.eval_every=1.5", text=text)) == {
        'experiment.name = "a b": must be 1 to 100 letters (a-z, A-Z), digits, - and _',
        "experiment.seed = -1: must be a whole number from 0 to below 2**63",
        'data.train_size = "many": must be a whole number from 1 to 1,000,000,000',
        'model.name = "cnnn": must be one of linear, mlp, lenet, cnn, 3c3d, resnet8',
        "model.hidden = []: must be a list of whole numbers from 1 to 1,000,000,000",
        "budget.epochs = 0: must be a whole number from 1 to 1,000,000,000",
        "budget.epoch: unknown key (did you mean epochs?); "
        "legal: trials_per_optimizer, epochs, eval_every, max_seconds",
        "budget.eval_every = 1.5: must be a whole number from 1 to 1,000,000,000",
        'search.startup_trials = "third": must be "half", or a whole number from 0 to 1,000,000,000',
        'resources.gpus_per_trial = -0.5: must be "auto", 0, a share of a GPU from 0.01 to 1, '
        "or a whole number of them",
        "space.batch_size = [64, 0]: each value of the list must be a whole number from 1 to 1,000,000,000, "
        "and there must be at least one",
        f"space.lr: unknown key; legal: {shared}",
        f"optimizers.adma: unknown optimizer (did you mean adam?); legal: {', '.join(optimizers.ARMS)}, "
        'or any other name with class = "torch.optim.X"',
        f"optimizers.adam.beta3: unknown key (did you mean beta2?); legal: lr, beta1, beta2, eps, {shared}",
        'optimizers.adam.lr = {"low": 1.0, "high": 0.1}: low must be below high',
        "[modle]: unknown table (did you mean model?); legal: experiment, data, model, loss, budget, search, "
        "final, resources, checkpoint, report, space, optimizers",
    }


def test_every_line_of_the_message_names_the_file() -> None:
    with pytest.raises(ExperimentError) as refused:
        experiments.loads(MINIMAL, ("budget.epochs=0", "model.hidden=[]"), source="mine.toml")
    lines = str(refused.value).splitlines()
    assert len(lines) == 2
    assert all(line.startswith("mine.toml: ") for line in lines)


@pytest.mark.parametrize(
    "setting",
    [
        "experiment.seed=9223372036854775808",
        "experiment.objective=test_loss",
        "experiment.name=''",
        "experiment.name=ä",
        "data.name=mnist",
        "data.augment=0",
        "data.train_size=true",
        "model.hidden=256",
        "model.hidden=['256']",
        "model.hidden=[256.0]",
        "model.hidden=[true]",
        "model.hidden=[64, 0]",
        "model.channels=[]",
        "model.channels=[1, 1, 1, 1, 1, 1]",
        "model.input_size=64",
        "model.init=zeros",
        "loss.name=mse",
        "budget.trials_per_optimizer=0",
        "budget.epochs=10.0",
        "budget.max_seconds=-1",
        "budget.max_seconds=inf",
        "budget.max_seconds=true",
        "search.startup_trials=-1",
        "search.startup_trials=true",
        "search.reduction_factor=1",
        "search.min_epochs=0",
        "search.min_epochs=half",
        "final.top_k=-1",
        "final.seeds=0",
        "final.untuned=1",
        "resources.workers=0",
        "resources.workers=all",
        "resources.cpus_per_trial=0.5",
        "resources.gpus_per_trial=nan",
        "resources.attempts=0",
        "resources.hang_factor=1",
        "resources.hang_factor=nan",
        "resources.lease_s=0.5",
        "checkpoint.every_epochs=-1",
        "checkpoint.directory=1",
        "report.targets=[1.5]",
        "report.targets=0.5",
        "space.schedule=cosinus",
        "space.weight_decay=-1",
        "optimizers.sgd.lr=0",
        "optimizers.momentum.momentum=1",
    ],
)
def test_an_illegal_value_is_named_once_with_its_key_and_what_is_legal(setting: str) -> None:
    key = setting.partition("=")[0]
    line = the_problem(setting)
    assert line.startswith(f"{key} = ")
    assert ": must be " in line


@pytest.mark.parametrize(
    ("setting", "wrong", "meant"),
    [
        ("budget.epoch=3", "budget.epoch", "epochs"),
        ("search.startup_trial=3", "search.startup_trial", "startup_trials"),
        ("space.batchsize=3", "space.batchsize", "batch_size"),
        ("optimizers.adma.lr=0.1", "optimizers.adma", "adam"),
        ("optimizers.rmsprop.decays=0.9", "optimizers.rmsprop.decays", "decay"),
        ("optimizer.sgd.lr=0.1", "[optimizer]", "optimizers"),
        ("budgets.epochs=3", "[budgets]", "budget"),
    ],
)
def test_an_unknown_name_is_refused_with_what_was_probably_meant(
    setting: str, wrong: str, meant: str
) -> None:
    line = the_problem(setting)
    assert line.startswith(f"{wrong}: unknown ")
    assert f"(did you mean {meant}?); legal: " in line


def test_an_unknown_name_that_is_like_no_other_has_no_suggestion() -> None:
    assert "did you mean" not in the_problem("budget.colour=3")


def test_a_hyperparameter_of_another_arm_is_refused() -> None:
    assert the_problem("optimizers.sgd.beta1=0.9").startswith("optimizers.sgd.beta1: unknown key")


@pytest.mark.parametrize("table", ["data", "space", "optimizers"])
def test_a_value_where_a_table_must_stand_is_refused(table: str) -> None:
    assert the_problem(text=f"{table} = 3\n{MINIMAL}") == f"{table} = 3: must be a table, [{table}]"


def test_an_optimizer_that_is_no_table_is_refused() -> None:
    assert the_problem("optimizers.sgd=3") == "optimizers.sgd = 3: must be a table, [optimizers.sgd]"


def test_broken_toml_is_refused_with_its_line() -> None:
    line = the_problem(text=f"{MINIMAL}[data]\ntrain_size = = 3\n")
    assert line.startswith("is not valid TOML: ")
    assert "line 4" in line


def test_a_key_that_stands_twice_is_refused() -> None:
    assert "is not valid TOML" in the_problem(text=f"{MINIMAL}seed = 1\nseed = 2\n")


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(ExperimentError) as refused:
        experiments.read(path)
    assert str(refused.value) == f"{path}: no such file"


def test_a_directory_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError) as refused:
        experiments.read(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path}: is a directory")


def test_a_file_that_is_not_text_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "picture.toml"
    path.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ExperimentError) as refused:
        experiments.read(path)
    assert str(refused.value).startswith(f"{path}: is not UTF-8 text")


def test_more_images_than_the_data_set_has_are_refused() -> None:
    line = the_problem("data.train_size=45001")
    assert "data.train_size = 45001 and data.val_size = 5000" in line
    assert "50000" in line


def test_more_test_images_than_the_data_set_has_are_refused() -> None:
    line = the_problem("data.test_size=10001")
    assert line.startswith("data.test_size = 10001: at most the 10000")


@pytest.mark.parametrize("key", ["train_size", "val_size", "test_size"])
def test_fewer_images_than_classes_are_refused(key: str) -> None:
    assert the_problem(f"data.{key}=9").startswith(f"data.{key} = 9: at least 10")


@pytest.mark.parametrize("name", ["a", "A-1_b", "9", "x" * 100])
def test_a_legal_sweep_name_is_taken(name: str) -> None:
    assert experiments.checked_name(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a.b", "ä", "x" * 101, "a\n", "٣"])
def test_an_illegal_sweep_name_is_refused_with_what_is_legal(name: str) -> None:
    with pytest.raises(UsageError, match="letters"):
        experiments.checked_name(name)


def test_who_asks_for_no_finals_is_told_nothing() -> None:
    assert loads("final.top_k=0").notices == ()


# --- precedence ------------------------------------------------------------------------------------------


def test_a_setting_wins_over_the_file_and_the_file_over_the_default() -> None:
    text = f"{MINIMAL}[budget]\nepochs = 3\neval_every = 2\n"
    budget = loads("budget.epochs=7", text=text).budget
    assert (budget.epochs, budget.eval_every, budget.trials_per_optimizer) == (7, 2, 16)


def test_the_last_of_two_settings_of_a_key_wins() -> None:
    assert loads("budget.epochs=7", "budget.epochs=8").budget.epochs == 8


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("experiment.name=plain", "plain"),
        ("experiment.name='quoted'", "quoted"),
        ('experiment.name = "spaced" ', "spaced"),
        ("experiment.name=2fast-", "2fast-"),
    ],
)
def test_a_setting_that_is_no_toml_is_a_string(setting: str, value: str) -> None:
    assert loads(setting).name == value


@pytest.mark.parametrize(
    ("setting", "shown"),
    [("experiment.name=12", "12"), ("experiment.name=true", "true"), ("experiment.name=['t']", '["t"]')],
)
def test_a_setting_that_is_toml_keeps_its_type(setting: str, shown: str) -> None:
    assert the_problem(setting).startswith(f"experiment.name = {shown}: must be")


def test_a_setting_can_not_smuggle_in_a_second_key() -> None:
    assert the_problem("experiment.name=1\nseed = 2").startswith("experiment.name = ")


def test_a_setting_may_be_a_table() -> None:
    lr = loads('optimizers.adam.lr={low=1e-4, high=1e-2, scale="log"}').arm("adam").space["lr"]
    assert lr == Range(1e-4, 1e-2, "log")


@pytest.mark.parametrize(
    "setting", ["epochs", "epochs=3", "=3", "budget.=3", ".epochs=3", "budget..epochs=3"]
)
def test_a_setting_that_is_not_written_as_one_is_refused(setting: str) -> None:
    assert the_problem(setting) == f"--set {setting!r}: must be written table.key=value"


def test_a_setting_below_a_value_is_refused() -> None:
    line = the_problem("budget.epochs.most=3", text=f"{MINIMAL}[budget]\nepochs = 3\n")
    assert line == "--set 'budget.epochs.most=3': epochs is a value, not a table"


def test_settings_leave_the_document_that_they_lie_on_alone() -> None:
    document = {"experiment": {"name": "t"}, "budget": {"epochs": 3}}
    experiments.from_document(document, ("budget.epochs=7", "data.name=synthetic"))
    assert document == {"experiment": {"name": "t"}, "budget": {"epochs": 3}}


# --- the arms and their spaces ---------------------------------------------------------------------------


def test_without_optimizers_all_six_arms_run() -> None:
    assert tuple(arm.name for arm in loads().arms) == SIX


def test_only_the_optimizers_of_the_file_run_in_its_order() -> None:
    chosen = loads(text=f"{MINIMAL}[optimizers.adam]\n[optimizers.sgd]\n")
    assert [arm.name for arm in chosen.arms] == ["adam", "sgd"]
    assert chosen.n_trials == 2 * 16


LU_HIGH, LU_LOW = Range(1e-4, 1.0, "log"), Range(1e-5, 1e-1, "log")
RHO = Range(0.0, 0.99, "one_minus_log")  # 1 - rho in 1e-2..1
DECAY = Range(0.5, 0.999, "one_minus_log")  # 1 - decay in 1e-3..0.5
BETA2 = Range(0.5, 0.9999, "one_minus_log")  # 1 - b2 in 1e-4..0.5


@pytest.mark.parametrize("n_trials", [15, 16, 31, 32])
def test_the_default_spaces_grow_with_the_number_of_trials(n_trials: int) -> None:
    decays, second = n_trials >= 16, n_trials >= 32
    velocity = {"effective_lr": LU_HIGH, "momentum": RHO if decays else Fixed(0.9)}
    own = {arm.name: arm.own for arm in loads(f"budget.trials_per_optimizer={n_trials}").arms}
    assert own == {
        "sgd": {"lr": LU_HIGH},
        "momentum": velocity,
        "nesterov": velocity,
        "adagrad": {"lr": LU_HIGH},
        "rmsprop": {"lr": LU_LOW, "decay": DECAY if decays else Fixed(0.99)},
        "adam": {
            "lr": LU_LOW,
            "beta1": RHO if decays else Fixed(0.9),
            "beta2": BETA2 if second else Fixed(0.999),
        },
    }


def test_every_arm_shares_the_space_of_the_file() -> None:
    experiment = loads("space.batch_size=[32, 256]")
    assert {arm.space["batch_size"] for arm in experiment.arms} == {Choice((32, 256))}


def test_an_arms_own_table_wins_over_the_shared_space() -> None:
    experiment = loads("space.batch_size=[32, 256]", "optimizers.adam.batch_size=50", "optimizers.sgd={}")
    assert experiment.arm("adam").space["batch_size"] == Fixed(50)
    assert experiment.arm("sgd").space["batch_size"] == Choice((32, 256))
    assert "batch_size" not in experiment.arm("adam").shared


def test_an_arms_own_table_wins_over_its_default_space() -> None:
    own = loads("optimizers.adam.lr=0.1", "optimizers.adam.eps=1e-7").arm("adam").own
    assert own == {"lr": Fixed(0.1), "beta1": RHO, "beta2": Fixed(0.999), "eps": Fixed(1e-7)}


@pytest.mark.parametrize("arm", ["momentum", "nesterov"])
def test_a_given_lr_takes_the_place_of_the_effective_lr(arm: str) -> None:
    assert loads(f"optimizers.{arm}.lr=0.1").arm(arm).own == {"lr": Fixed(0.1), "momentum": RHO}


@pytest.mark.parametrize("arm", ["momentum", "nesterov"])
def test_lr_beside_effective_lr_is_refused(arm: str) -> None:
    line = the_problem(f"optimizers.{arm}.lr=0.1", f"optimizers.{arm}.effective_lr=0.1")
    assert line.startswith(f"optimizers.{arm}: lr and effective_lr")


def test_an_arm_without_momentum_knows_no_effective_lr() -> None:
    assert the_problem("optimizers.sgd.effective_lr=0.1").startswith("optimizers.sgd.effective_lr: unknown")


@pytest.mark.parametrize(("n_trials", "startup"), [(1, 0), (2, 1), (7, 3), (16, 8)])
def test_half_of_the_trials_start_up_without_a_model(n_trials: int, startup: int) -> None:
    assert loads(f"budget.trials_per_optimizer={n_trials}").startup_trials == startup


def test_a_number_of_startup_trials_is_taken_as_it_is() -> None:
    assert loads("search.startup_trials=3").startup_trials == 3


# --- the stored document ---------------------------------------------------------------------------------

ROUND_TRIPS: list[tuple[str, ...]] = [
    *((f"budget.trials_per_optimizer={n}",) for n in (1, 7, 15, 16, 31, 32)),
    ("optimizers.momentum.lr=0.1",),
    ("optimizers.adam.batch_size=32", 'optimizers.sgd={lr={low=1e-3, high=1.0, scale="log"}}'),
    ('space.batch_size={low=16, high=128, scale="log"}', "space.weight_decay=[0.0, 1e-4]"),
    ("model.hidden=[64, 32]", "model.channels=[8]", "model.init=xavier", "resources.workers=2"),
    ("resources.gpus_per_trial=0.25", "search.startup_trials=0", "final.top_k=0", "data.name=synthetic"),
]


def stored(experiment: Experiment) -> Any:
    return json.loads(json.dumps(experiment.document(), allow_nan=False))


@pytest.mark.parametrize("settings", ROUND_TRIPS, ids=" ".join)
def test_the_stored_document_reads_back_as_an_equal_experiment(settings: tuple[str, ...]) -> None:
    experiment = loads(*settings)
    assert same(experiments.from_document(stored(experiment)), experiment)


def test_the_stored_document_keeps_the_order_of_the_arms() -> None:
    experiment = loads(text=f"{MINIMAL}[optimizers.adam]\n[optimizers.sgd]\n")
    assert [arm.name for arm in experiments.from_document(stored(experiment)).arms] == ["adam", "sgd"]


@pytest.mark.parametrize(("n_first", "n_later"), [(7, 64), (15, 16), (16, 32), (31, 32)])
def test_more_trials_on_resume_change_neither_spaces_nor_startup_trials(n_first: int, n_later: int) -> None:
    first = loads(f"budget.trials_per_optimizer={n_first}")
    later = experiments.from_document(stored(first), (f"budget.trials_per_optimizer={n_later}",))
    assert later.budget.trials_per_optimizer == n_later
    assert later.arms == first.arms
    assert later.startup_trials == n_first // 2
