"""A trial's training as bytes, and back: what a checkpoint file holds.

Four parts: a line that names the format; a line with the SHA-256 of all that follows; a line of JSON that
says to what it belongs; and the weights, the rule's memory and the counters, as plain values and tensors,
which `torch.load` reads without running any code. That part is not looked at before the others are right.
"""

import hashlib
import io
import json
from typing import Any

import torch

from sweeper.errors import CheckpointError
from sweeper.experiment import Experiment
from sweeper.records import Trial
from sweeper.training.loop import Training

_KIND = b"sweeper checkpoint"
_FORMAT = 2
"""2: a rule without weight decay has one group of parameters, in the order of the network's."""
_FIRST_LINE = b"%s %d" % (_KIND, _FORMAT)

Identity = dict[str, Any]


def identity(trial: Trial, experiment: Experiment, images_sha256: str) -> Identity:
    """To what a state belongs: everything that the numbers of a trial depend on."""
    document = experiment.document()
    own = document["optimizers"][trial.key.optimizer]
    parts = {
        **{key: document[key] for key in ("data", "model", "loss")},
        **{key: document["budget"][key] for key in ("epochs", "eval_every")},
        **{key: document["experiment"][key] for key in ("seed", "objective")},
        **{key: own.get(key) for key in ("class", "steps")},
        "rungs": sorted(experiment.pruning.rungs),
    }
    return {
        "trial": str(trial.key),
        "seed": trial.seed,
        "params": dict(trial.params),
        "images": images_sha256,
        "experiment": hashlib.sha256(_json(parts)).hexdigest(),
    }


def dump(training: Training, identity: Identity) -> bytes:
    """The state of `training`, which belongs to `identity`. Raises CheckpointError."""
    file = io.BytesIO()
    try:
        torch.save(training.state(), file)
    except Exception as error:  # whatever torch raises, out of memory above all
        raise CheckpointError(f"the state can't be written: {type(error).__name__}: {_line(error)}") from None
    content = _json({**identity, "epoch": training.epochs_done}) + b"\n" + file.getvalue()
    return b"\n".join((_FIRST_LINE, _digest(content), content))


def resume(training: Training, identity: Identity, epoch: int, state: bytes) -> None:
    """Make `training`, which is new, go on from `state` as if it had never been interrupted.

    Raises CheckpointError where the state is damaged, or is not the one of `identity` after `epoch`; then
    nothing more can be done with `training`.
    """
    belongs_to, content = _checked(state)
    wanted: Identity = json.loads(_json({**identity, "epoch": epoch}))
    for key in wanted:
        if belongs_to.get(key) != wanted[key]:
            raise CheckpointError(
                f"has another {key}: {_shown(belongs_to.get(key))}, not {_shown(wanted[key])}"
            )
    try:
        training.restore(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    except Exception as error:  # what torch makes of bytes that it didn't write
        raise CheckpointError(
            f"is not the state of a trial: {type(error).__name__}: {_line(error)}"
        ) from None


def _checked(state: bytes) -> tuple[Identity, bytes]:
    """To what a state belongs, and the part that only torch can read."""
    first, _, rest = state.partition(b"\n")
    if not first.startswith(_KIND):
        raise CheckpointError("is no checkpoint of Sweeper's")
    if first != _FIRST_LINE:
        found = first.removeprefix(_KIND).decode(errors="replace").strip()
        raise CheckpointError(f"has format {found}; this version of Sweeper reads format {_FORMAT}")
    digest, _, content = rest.partition(b"\n")
    if digest != _digest(content):
        raise CheckpointError("is damaged: its SHA-256 is not the one that was written")
    about, _, content = content.partition(b"\n")
    try:
        belongs_to = json.loads(about)
    except ValueError:
        belongs_to = None
    if not isinstance(belongs_to, dict):
        raise CheckpointError("doesn't say to what it belongs")
    return belongs_to, content


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _shown(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
