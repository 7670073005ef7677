"""A bare step gives torch's own numbers, and nothing of it loads torch's compiler."""

import subprocess
import sys

import pytest
import torch

from sweeper import optimizers
from sweeper.errors import UsageError
from sweeper.optimizers import custom
from sweeper.optimizers.stepping import bare_step

BY_LOSS = ("lbfgs", "bfgs", "newton", "random_search", "local_search")
BUILT = tuple(name for name in optimizers.names() if name not in BY_LOSS)
CLASSES = tuple(
    custom.PREFIX + name
    for name in [
        "ASGD",
        "Adadelta",
        "Adafactor",
        "Adagrad",
        "Adam",
        "AdamW",
        "Adamax",
        "NAdam",
        "RAdam",
        "RMSprop",
        "Rprop",
        "SGD",
    ]
)


def weights() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(3)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 3), (4,))]


def build(name: str, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    if name in CLASSES:
        return custom.build(name, parameters, lr=0.01)
    return optimizers.build(name, parameters, lr=0.01, weight_decay=0.1)


def test_these_are_all_the_classes_that_a_sweep_may_name() -> None:
    with pytest.raises(UsageError) as caught:
        custom.build("torch.optim.Nonsense", weights())
    assert str(caught.value).endswith(", ".join(name.removeprefix(custom.PREFIX) for name in CLASSES))


@pytest.mark.parametrize("name", [*BUILT, *CLASSES])
def test_a_bare_step_moves_the_weights_exactly_as_torchs_own(name: str) -> None:
    ended = []
    for is_bare in (True, False):
        parameters = weights()
        optimizer = build(name, parameters)
        step = bare_step(optimizer) if is_bare else optimizer.step
        for k in range(5):
            for p in parameters:
                p.grad = torch.cos(p.detach() * (k + 1))
            step()
        ended.append(parameters)
    for bare, own, start in zip(*ended, weights(), strict=True):
        assert torch.equal(bare, own)
        assert not torch.equal(bare, start)
        assert bare.requires_grad


def test_a_bare_step_runs_no_hooks_and_the_users_own_rule_is_stepped_as_it_comes() -> None:
    class Own(torch.optim.SGD):
        pass

    hooked = []
    for rule in (torch.optim.SGD, Own):
        (weight, _) = parameters = weights()
        weight.grad = torch.ones_like(weight)
        optimizer = rule(parameters, lr=0.1)
        optimizer.register_step_post_hook(lambda rule, *_: hooked.append(type(rule)))
        bare_step(optimizer)()
        torch.testing.assert_close(weight, weights()[0] - 0.1)
    assert hooked == [Own]


def test_a_rule_that_gradients_flow_through_is_stepped_as_it_comes() -> None:
    optimizer = torch.optim.SGD(weights(), lr=0.1, differentiable=True)
    assert bare_step(optimizer) == optimizer.step


ALONE = """
import sys
import torch
from sweeper import optimizers
from sweeper.training import device

device.configure(threads=1)
device.warm_up()
for name in {names}:
    weight = torch.nn.Parameter(torch.ones(2, 2))
    weight.grad = torch.ones(2, 2)
    optimizer = optimizers.build(name, [weight], lr=0.01)
    device.bare_step(optimizer)()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
    assert (weight != 1).all(), name
print("torch._dynamo" in sys.modules)
layer = torch.compile(torch.nn.Linear(2, 2), backend="eager")
print(layer(torch.ones(1, 2)).shape)
"""


def test_a_workers_process_does_without_torchs_compiler_until_somebody_compiles() -> None:
    run = subprocess.run(
        [sys.executable, "-c", ALONE.format(names=BUILT)], capture_output=True, text=True, timeout=120
    )
    assert run.stdout.split("\n")[:2] == ["False", "torch.Size([1, 2])"], run.stderr
