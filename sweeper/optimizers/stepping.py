"""Spares torch's optimizers what only a compiler and a profiler need, for neither is at work here.

Both are shortcuts through torch's own functions to the ones that they wrap. Where a later torch wraps them in
another way, its functions are called as they come, and nothing is lost but the time.
"""

import inspect
from collections.abc import Callable

import torch

_HIDDEN_FROM_THE_COMPILER = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
"""Methods of every optimizer that torch hides from its compiler, which it imports in order to do so."""


def leave_out_compiler() -> None:
    """Let this process make optimizers without `torch._dynamo`: a second's worth of modules.

    torch keeps the hidden form of a function as its attribute. Here that is the function itself.
    """
    for name in _HIDDEN_FROM_THE_COMPILER:
        method = inspect.unwrap(getattr(torch.optim.Optimizer, name))
        if not hasattr(method, "__dynamo_disable"):
            setattr(method, "__dynamo_disable", method)


def bare_step(optimizer: torch.optim.Optimizer) -> Callable[[], object]:
    """The rule's step, the same numbers, without what torch does around it, which takes 20 to 40 µs.

    That is a mark for the profiler, the hooks before and after a step, and a break for the compiler, which is
    imported for it. A rule that isn't torch's own, or is differentiable itself, is stepped as it comes.
    """
    rule = type(optimizer)
    if not rule.__module__.startswith("torch.optim.") or optimizer.defaults.get("differentiable"):
        return optimizer.step
    wrapped = inspect.unwrap(rule.step)

    def step() -> None:
        with torch.no_grad():
            wrapped(optimizer)

    return step
