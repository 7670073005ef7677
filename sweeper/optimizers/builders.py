"""Builds each arm as a `torch.optim.Optimizer`."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from sweeper.errors import UsageError

ParamGroups = list[dict[str, Any]]


def _sgd(groups: ParamGroups, lr: float = 1e-3) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=lr)


def _momentum(groups: ParamGroups, lr: float = 1e-3, momentum: float = 0.9) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=lr, momentum=momentum)


def _nesterov(groups: ParamGroups, lr: float = 1e-3, momentum: float = 0.9) -> torch.optim.Optimizer:
    # Without momentum there is nothing to look ahead to: plain SGD. torch refuses nesterov=True there.
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0)


def _adagrad(groups: ParamGroups, lr: float = 1e-2, eps: float = 1e-10) -> torch.optim.Optimizer:
    return torch.optim.Adagrad(groups, lr=lr, eps=eps)


def _rmsprop(
    groups: ParamGroups, lr: float = 1e-2, decay: float = 0.99, eps: float = 1e-8
) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(groups, lr=lr, alpha=decay, eps=eps)


def _adam(
    groups: ParamGroups, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, lr=lr, betas=(beta1, beta2), eps=eps)


_BUILDERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
}


def build(
    name: str, params: Iterable[torch.nn.Parameter], *, weight_decay: float = 0.0, **hyperparameters: float
) -> torch.optim.Optimizer:
    """The optimizer `name` over `params`, with torch's defaults for what isn't given.

    `weight_decay` is 2λ of the L2 penalty λ Σ W²: it adds `weight_decay * w` to the gradient of weights, and
    nothing to that of biases and other one-dimensional parameters.
    """
    if name not in _BUILDERS:
        raise UsageError(f"optimizer {name!r} is unknown; legal: {', '.join(_BUILDERS)}")
    parameters = list(params)
    weights = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    groups = [
        {"params": members, "weight_decay": decay}
        for members, decay in ((weights, weight_decay), (others, 0.0))
        if members
    ]
    return _BUILDERS[name](groups, **hyperparameters)
