"""What a GPU's memory allows: how large a share a worker needs, and when its process is better renewed.

The sizes here are choices, not measurements: what a CUDA context takes differs from GPU to GPU.
"""

from dataclasses import dataclass

SHARES = (1.0, 0.5, 0.25, 0.125)
"""What a worker may have of a GPU, the whole first; each is exact in Ray's steps of 1/10,000."""

CONTEXT_BYTES = 512 * 2**20
"""Set aside for each process that uses a GPU, beyond what torch reserves."""

HEADROOM = 1.25
"""Other trials may need that much more than those that were measured."""

GROWTH = 1.5
GROWTH_BYTES = 256 * 2**20
"""A worker that holds so many times as much between trials as at first, and so much more, is renewed."""


@dataclass(frozen=True, slots=True)
class Memory:
    """A GPU's memory as one worker sees it, in bytes.

    `total` is the GPU's; `peak` is the most that torch has reserved during the trial in hand, `base` what it
    held when that trial began and all before it had been given back.
    """

    total: int
    peak: int
    base: int


def gpu_share(peak: int, total: int) -> float:
    """The least share of a GPU of `total` bytes that trials need which reserve up to `peak` bytes."""
    enough = [share for share in SHARES if share * total >= HEADROOM * peak + CONTEXT_BYTES]
    return min(enough, default=SHARES[0])


def fraction(share: float, total: int) -> float:
    """The part of a GPU's memory that torch may reserve in a process that has `share` of it."""
    return max(share - CONTEXT_BYTES / total, share / 2)


def has_grown(first: int, now: int) -> bool:
    """Whether a process that held `first` bytes at its first trial holds too much `now`."""
    return now > GROWTH * first and now > first + GROWTH_BYTES
