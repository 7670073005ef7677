"""The columns of the frames, with their dtypes: the same for every sweep, an empty one included."""

from collections.abc import Mapping

TIME = "datetime64[us, UTC]"

TRIALS: Mapping[str, str] = {
    "sweep": "str",
    "optimizer": "str",
    "number": "int64",
    "phase": "str",
    "origin": "str",
    "independent": "bool",
    "setting": "int64",
    "seed": "int64",
    "state": "str",
    "attempt": "int64",
    "epochs": "int64",
    "samples": "int64",
    "grad_evals": "int64",
    "train_loss": "float64",
    "val_loss": "float64",
    "val_accuracy": "float64",
    "test_loss": "float64",
    "test_accuracy": "float64",
    "queued_s": "float64",
    "setup_s": "float64",
    "train_s": "float64",
    "eval_s": "float64",
    "wall_s": "float64",
    "worker": "str",
    "node": "str",
    "device": "str",
    "started_at": TIME,
    "finished_at": TIME,
    "error": "str",
}
"""The columns of the frame `trials` with their dtypes; `params.NAME` columns follow."""

EPOCHS: Mapping[str, str] = {
    "sweep": "str",
    "optimizer": "str",
    "number": "int64",
    "phase": "str",
    "epoch": "int64",
    "samples": "int64",
    "grad_evals": "int64",
    "train_loss": "float64",
    "val_loss": "float64",
    "val_accuracy": "float64",
    "lr": "float64",
    "train_s": "float64",
    "eval_s": "float64",
}
"""The columns of the frame `epochs` with their dtypes."""

ATTEMPTS: Mapping[str, str] = {
    "sweep": "str",
    "optimizer": "str",
    "number": "int64",
    "phase": "str",
    "attempt": "int64",
    "worker": "str",
    "node": "str",
    "device": "str",
    "first_epoch": "int64",
    "started_at": TIME,
    "ended_at": TIME,
    "why": "str",
    "strike": "bool",
    "epochs": "int64",
    "samples": "int64",
    "steps": "int64",
    "grad_evals": "int64",
    "train_s": "float64",
    "eval_s": "float64",
}
"""The columns of the frame `attempts` with their dtypes."""
