"""Mistakes that lie in several keys of an experiment file together, each legal by itself."""

from collections.abc import Iterable, Iterator, Mapping

from sweeper import architectures, catalog, checkpoints, optimizers
from sweeper.experiment.model import ArmSpace
from sweeper.experiment.sections import Budget, Checkpoint, Data, Model, Search, Section
from sweeper.experiment.wording import shown


def contradictions(sections: Mapping[str, Section | None], arms: Iterable[ArmSpace]) -> list[str]:
    """A line for every one of them; sections that are wrong by themselves are None and left out."""
    data, model, budget = sections["data"], sections["model"], sections["budget"]
    search, checkpoint = sections["search"], sections["checkpoint"]
    problems: list[str] = []
    if isinstance(search, Search) and isinstance(budget, Budget):
        problems += _impossible_search(search, budget)
    if isinstance(data, Data):
        problems += _too_many_images(data)
    if isinstance(model, Model):
        problems += _too_small_images(model)
        if isinstance(data, Data) and isinstance(budget, Budget) and not problems:
            problems += _beyond_means(arms, model, data, budget)
    if isinstance(checkpoint, Checkpoint):
        problems += _nowhere(checkpoint)
    return problems


def _impossible_search(search: Search, budget: Budget) -> Iterator[str]:
    if search.mode == "joint" and search.sampler == "grid":
        yield (
            'search.mode = "joint" and search.sampler = "grid": a grid is one optimizer\'s; '
            "legal samplers here: tpe, random, qmc"
        )
    if search.mode == "joint" and search.repeats > 1:
        yield (
            f'search.mode = "joint" and search.repeats = {search.repeats}: only searches of one optimizer '
            "are repeated; legal here: 1"
        )
    if 1 < search.repeats >= budget.trials_per_optimizer:
        yield (
            f"search.repeats = {search.repeats} and budget.trials_per_optimizer = "
            f"{budget.trials_per_optimizer}: each search needs a trial besides the untuned one"
        )
    if search.pruner != "none" and isinstance(search.min_epochs, int) and search.min_epochs > budget.epochs:
        yield (
            f"search.min_epochs = {search.min_epochs} and budget.epochs = {budget.epochs}: the first rung "
            f"can't lie beyond a trial's end"
        )


def _nowhere(checkpoint: Checkpoint) -> Iterator[str]:
    if fault := checkpoints.fault(checkpoint.directory):
        yield f"checkpoint.directory = {shown(checkpoints.printable(checkpoint.directory))}: {fault}"
    elif checkpoint.every_epochs and not checkpoint.directory:
        yield (
            f'checkpoint.every_epochs = {checkpoint.every_epochs} and checkpoint.directory = "": '
            "checkpoints need a directory, a local path or an fsspec URL"
        )


def _too_many_images(data: Data) -> Iterator[str]:
    facts = catalog.DATA_SETS[data.name]
    if data.train_size + data.val_size > facts.n_train_pool:
        yield (
            f"data.train_size = {data.train_size} and data.val_size = {data.val_size}: "
            f"together at most the {facts.n_train_pool} training images of {data.name}"
        )
    if data.test_size > facts.n_test_pool:
        yield f"data.test_size = {data.test_size}: at most the {facts.n_test_pool} test images of {data.name}"
    for key in ("train_size", "val_size", "test_size"):
        if (size := getattr(data, key)) < facts.n_classes:
            yield f"data.{key} = {size}: at least {facts.n_classes}, one image of each class"


def _too_small_images(model: Model) -> Iterator[str]:
    if not architectures.fits(model.name, input_size=model.input_size, channels=model.channels):
        stages = f" with {len(model.channels)} stages" if model.name == "cnn" else ""
        least = architectures.smallest_input(model.name, channels=model.channels)
        legal = [size for size in (8, 16, 32) if size >= least]
        yield (
            f"model.input_size = {model.input_size}: too small for {model.name}{stages}, which halves images "
            f"on its way; legal: {', '.join(map(str, legal))}"
        )


def _beyond_means(arms: Iterable[ArmSpace], model: Model, data: Data, budget: Budget) -> Iterator[str]:
    """Arms whose matrix would be too large for the model, or whose first step the budget can't pay."""
    n_parameters = parameter_count(model, data.n_classes)
    for arm in arms:
        if arm.torch_class is not None:
            continue
        rule = optimizers.ARMS[arm.name]
        if rule.max_parameters is not None and n_parameters > rule.max_parameters:
            yield (
                f"optimizers.{arm.name}: {model.name} on {model.input_size}x{model.input_size} images has "
                f"{n_parameters:,} parameters; {rule.title} keeps a matrix with a row and a column for each, "
                f"and takes at most {rule.max_parameters:,} (linear with model.input_size = 8 has 1,930)"
            )
            continue
        cost = float(rule.first_step.per_image(n_parameters))
        if arm.steps is None and not rule.sees.is_part_of_the_set and cost > budget.epochs:
            own = f", or optimizers.{arm.name}.steps = N gives it a budget of its own"
            yield (
                f"optimizers.{arm.name}: its first step costs {cost:,.1f} epochs and budget.epochs = "
                f"{budget.epochs}; raise that{own if rule.may_have_steps else ''}"
            )


def parameter_count(model: Model, n_classes: int) -> int:
    """How many numbers the model trains."""
    return architectures.parameter_count(
        model.name,
        n_classes=n_classes,
        input_size=model.input_size,
        hidden=model.hidden,
        channels=model.channels,
    )
