"""Made-up results of six optimizers, as many as asked for, as tables that `sweeper import` takes."""

import numpy as np
import pandas as pd

OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
BEST_LR = {"sgd": -1.3, "momentum": -2.0, "nesterov": -2.0, "adagrad": -2.0, "rmsprop": -3.0, "adam": -2.8}


def tables(n_trials: int, n_epochs: int, n_finals: int = 10) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trials and epochs of a search of `n_trials` in all, and of `n_finals` finals of each optimizer."""
    generator = np.random.default_rng(0)
    each = n_trials // len(OPTIMIZERS)
    trials = pd.concat(
        [_search(name, each, n_epochs, generator) for name in OPTIMIZERS]
        + [_finals(name, n_finals, n_epochs, generator) for name in OPTIMIZERS],
        ignore_index=True,
    )
    return trials, _epochs(trials, n_epochs)


def _search(name: str, n: int, n_epochs: int, generator: np.random.Generator) -> pd.DataFrame:
    lr = generator.uniform(-5, 0, n)
    loss = 1.4 + 0.12 * (lr - BEST_LR[name]) ** 2 + generator.normal(0, 0.02, n)
    return pd.DataFrame(
        {
            "optimizer": name,
            "number": np.arange(n),
            "phase": "search",
            "val_loss": loss,
            "val_accuracy": np.exp(-loss),
            "epochs": n_epochs,
            "samples": 5_000 * n_epochs,
            "params.lr": 10**lr,
            "params.batch_size": generator.choice([64, 128], n),
            "params.schedule": generator.choice(["constant", "cosine"], n),
        }
    )


def _finals(name: str, n: int, n_epochs: int, generator: np.random.Generator) -> pd.DataFrame:
    loss = 1.42 + 0.02 * OPTIMIZERS.index(name) + generator.normal(0, 0.02, n)
    finals = {"phase": "final", "setting": 1, "seed": np.arange(n), "test_loss": loss}
    search = _search(name, n, n_epochs, generator).assign(val_loss=loss)
    return search.assign(**finals, test_accuracy=np.exp(-loss))


def _epochs(trials: pd.DataFrame, n_epochs: int) -> pd.DataFrame:
    keys = trials[["optimizer", "number", "phase", "val_loss"]]
    long = keys.loc[keys.index.repeat(n_epochs)].reset_index(drop=True)
    epoch = np.tile(np.arange(1, n_epochs + 1), len(trials))
    loss = long["val_loss"] + (2.3 - long["val_loss"]) * np.exp(-4 * epoch / n_epochs)
    return long.assign(
        epoch=epoch,
        samples=5_000 * epoch,
        val_loss=loss,
        train_loss=loss - 0.1,
        val_accuracy=np.exp(-loss),
        train_s=0.9,
        eval_s=0.1,
    )
