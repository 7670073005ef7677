"""A trained network in a file, and back again, without any code in the file."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from sweeper.experiment.sections import Model
from sweeper.training import models
from sweeper.training.data import Dataset

FORMAT = 1


def save(path: Path, network: nn.Module, model: Model, dataset: Dataset, about: dict[str, Any]) -> None:
    """Write the network to `path`: whole or not at all.

    The file is a dictionary of plain values and tensors, which `torch.load` reads without running code:
    `state_dict`; `model`, the experiment's section; `n_classes`; `mean` and `std`, each channel's over the
    training images in 0..255, by which the network wants its images normalized; and `about`. Raises OSError
    where it can't be written.
    """
    contents = {
        "format": FORMAT,
        "state_dict": {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()},
        "model": model.model_dump(mode="json"),
        "n_classes": dataset.n_classes,
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "about": about,
    }
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:  # torch's own writer raises no OSError
            torch.save(contents, file)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path | str) -> tuple[nn.Module, dict[str, Any]]:
    """The network that `save` wrote, ready to be evaluated, and everything else in the file.

    It takes float32 images of shape (B, 3, S, S), `(pixels - mean) / std` by channel, and gives scores of
    shape (B, n_classes).
    """
    contents: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    model = Model(**contents["model"])
    network = models.build(
        model, contents["n_classes"], init=model.init, generator=torch.Generator().manual_seed(0)
    )
    network.load_state_dict(contents.pop("state_dict"))
    return network.eval(), contents
