"""Builds each arm as a `torch.optim.Optimizer`."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from sweeper.errors import UsageError
from sweeper.optimizers.arms import ARMS
from sweeper.optimizers.loss_rules import BFGS, LBFGS, LocalSearch, Newton, RandomSearch

ParamGroups = list[dict[str, Any]]


def _is_fused(groups: ParamGroups) -> bool | None:
    """Whether torch is asked for its fused step: on a CPU; None, on a GPU, leaves the choice to torch.

    One pass over the memory makes adam 2 to 7 times as fast there, and plain sgd no faster.
    """
    return all(p.device.type == "cpu" for group in groups for p in group["params"]) or None


def _sgd(groups: ParamGroups, lr: float = 1e-3) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=lr)


def _momentum(groups: ParamGroups, lr: float = 1e-3, momentum: float = 0.9) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, fused=_is_fused(groups))


def _nesterov(groups: ParamGroups, lr: float = 1e-3, momentum: float = 0.9) -> torch.optim.Optimizer:
    # Without momentum there is nothing to look ahead to: plain SGD. torch refuses nesterov=True there.
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0, fused=_is_fused(groups))


def _adagrad(groups: ParamGroups, lr: float = 1e-2, eps: float = 1e-10) -> torch.optim.Optimizer:
    return torch.optim.Adagrad(groups, lr=lr, eps=eps, fused=_is_fused(groups))


def _rmsprop(
    groups: ParamGroups, lr: float = 1e-2, decay: float = 0.99, eps: float = 1e-8
) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(groups, lr=lr, alpha=decay, eps=eps)


def _adam(
    groups: ParamGroups, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, lr=lr, betas=(beta1, beta2), eps=eps, fused=_is_fused(groups))


def _adamw(
    groups: ParamGroups, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=lr, betas=(beta1, beta2), eps=eps, fused=_is_fused(groups))


def _nadam(
    groups: ParamGroups, lr: float = 2e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
) -> torch.optim.Optimizer:
    return torch.optim.NAdam(groups, lr=lr, betas=(beta1, beta2), eps=eps)


_BY_GRADIENT: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adamw,
    "nadam": _nadam,
    "gd": _sgd,
}
_BY_LOSS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "lbfgs": LBFGS,
    "newton": Newton,
    "bfgs": BFGS,
    "random_search": RandomSearch,
    "local_search": LocalSearch,
}


def build(
    name: str,
    params: Iterable[torch.nn.Parameter],
    *,
    weight_decay: float | None = None,
    **hyperparameters: Any,
) -> torch.optim.Optimizer:
    """The optimizer `name` over `params`, with the untuned setting's values for what isn't given: torch's
    defaults, where the rule is torch's and has them.

    `weight_decay` is 2λ of the L2 penalty λ Σ W²: it adds `weight_decay * w` to the gradient of weights, and
    nothing to that of biases and other one-dimensional parameters; adamw decouples it (default 0.01; 0 for
    the others). Rules that look at the loss take none: there the penalty belongs into the loss. Raises
    UsageError for an unknown name, and for a `weight_decay` that the rule can't take.
    """
    if name in _BY_LOSS:
        if weight_decay:
            raise UsageError(f"{name} looks at the loss: add weight_decay / 2 times Σ W² to that")
        return _BY_LOSS[name](list(params), **hyperparameters)
    if name not in _BY_GRADIENT:
        raise UsageError(f"optimizer {name!r} is unknown; legal: {', '.join(ARMS)}")
    if weight_decay is None:
        weight_decay = float(ARMS[name].default.get("weight_decay", 0.0))
    return _BY_GRADIENT[name](decayed(params, weight_decay), **hyperparameters)


def decayed(params: Iterable[torch.nn.Parameter], weight_decay: float) -> ParamGroups:
    """`params` as groups for a torch optimizer: weights that decay, and the others, which don't."""
    parameters = list(params)
    if not weight_decay:  # one group takes one step of the rule, not two
        return [{"params": parameters, "weight_decay": 0.0}]
    weights = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    return [
        {"params": members, "weight_decay": decay}
        for members, decay in ((weights, weight_decay), (others, 0.0))
        if members
    ]
