"""Which device a trial is trained on, and how much of it."""

import resource
import sys

import pytest
import torch

from sweeper.training import device


@pytest.mark.parametrize(("share", "limits"), [(0.25, [0.25]), (1.0, []), (0.0, []), (2.0, [])])
def test_who_shares_a_gpu_takes_its_share_of_the_memory_and_no_more(
    monkeypatch: pytest.MonkeyPatch, share: float, limits: list[float]
) -> None:
    told: list[float] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", told.append)
    device.limit_memory(share)
    assert told == limits


def test_without_a_gpu_a_share_of_one_limits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine whose GPUs are logical only."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delattr(torch.cuda, "set_per_process_memory_fraction")
    device.limit_memory(0.5)
    assert device.choose(wants_gpu=True).type == "cpu"


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries can't be told")
def test_a_process_that_trains_keeps_the_memory_that_it_freed() -> None:
    """Page by page, 40 MB that go back to the system each time would be ten thousand faults a time."""
    device.keep_freed_memory()
    for _ in range(30):  # freed pieces come together only after some turns, where small ones lie between them
        torch.empty(10_000_000).fill_(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.empty(10_000_000).fill_(1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 10_000
