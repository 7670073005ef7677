"""One worker as the driver sees it: its actor, the trial in hand, the call under way and its deadline."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sweeper.records import Checkpoint, Phase, Trial
from sweeper.workers.memory import Memory
from sweeper.workers.protocol import Slot
from sweeper.workers.ray.actor import Arrival, Assignment
from sweeper.workers.ray.packing import packed

IDLE_S = 0.5
"""A worker that was idle for longer is asked for a sign of life before its next trial begins."""

PREPARE_S = 300.0
"""How long a process may take to import torch and to take the images in."""


class Stage(Enum):
    """How far a worker is: its process does not run yet, it imports and takes the images in, it trains."""

    COMING = 1
    PREPARING = 2
    READY = 3


@dataclass(slots=True)
class Worker:
    """An actor on the node `node_id`, with `gpus` GPUs; `call` is None while it is idle.

    `slot` is None until it is ready, except for one that is made for a trial that is to be alone on its GPU:
    it `is_alone`, takes that trial at once and goes with it. One that `is_leaving` gets no other trial, and
    if its node `is_draining` it does not finish the one that it has. `failures` counts the actors that died
    in its place before they were ready, one after the other. `sign_of_life` is a call made just before the
    trial's first: calls run in order, so where both fail the process was dead before the trial began.
    `memory` is what it last told of its GPU's, `first_base` what it held at its first trial.
    """

    serial: int
    actor: Any
    call: Any
    node_id: str = ""
    host: str = ""
    gpus: float = 0.0
    is_alone: bool = False
    failures: int = 0
    stage: Stage = Stage.COMING
    slot: Slot | None = None
    gpu: str = ""
    is_leaving: bool = False
    is_draining: bool = False
    trial: Trial | None = None
    attempt: int = 0
    checkpoint: Checkpoint | None = None
    is_begun: bool = False
    sign_of_life: Any = None
    asked: tuple[int, float] | None = None
    memory: Memory | None = None
    first_base: int | None = None
    idle_since: float = math.inf
    limit_s: float = math.inf
    deadline: float = math.inf

    @property
    def is_ready(self) -> bool:
        """Whether it can train."""
        return self.stage is Stage.READY

    @property
    def is_free(self) -> bool:
        """Whether it is ready and may take a trial."""
        return self.is_ready and self.call is None and self.trial is None and not self.is_leaving

    def arrived(self, arrival: Arrival, given: Sequence[Any]) -> None:
        """Its process runs: let it make itself ready with what it is `given`, which takes seconds."""
        self.node_id, self.host, self.gpu = arrival.node_id, arrival.host, arrival.gpu
        self.stage = Stage.PREPARING
        self.call = self.actor.prepare.options(name="start").remote(*given)
        self.limit_s, self.deadline = PREPARE_S, time.monotonic() + PREPARE_S

    def take(self, trial: Trial, attempt: int, checkpoint: Checkpoint | None) -> None:
        """Take `trial` in hand; nothing is sent yet."""
        self.trial, self.attempt, self.checkpoint, self.is_begun = trial, attempt, checkpoint, False

    def send(self, until_epoch: int, limit_s: float) -> None:
        """Ask for a stretch of the trial in hand, within `limit_s`; its first one carries the trial.

        One that is not ready yet is asked when it is.
        """
        assert self.trial is not None
        if not self.is_ready:
            self.asked = (until_epoch, limit_s)
            return
        begin = None if self.is_begun else packed(Assignment(self.trial, self.attempt, self.checkpoint))
        if begin is not None and time.monotonic() - self.idle_since > IDLE_S:
            self.sign_of_life = self.actor.hello.options(name="hello").remote()
        doing = "final" if self.trial.key.phase is Phase.FINAL else "train"
        name = f"{doing}[{self.trial.key.optimizer}]"
        self.call = self.actor.advance_packed.options(name=name).remote(begin, until_epoch)
        self.is_begun = True
        self.limit_s, self.deadline = limit_s, time.monotonic() + limit_s

    def heard(self, memory: Memory | None) -> None:
        """It told of its GPU's memory."""
        self.memory = memory
        if memory is not None and self.first_base is None:
            self.first_base = memory.base

    def answered(self) -> Any:
        """The call that has come to its end, which is under way no more."""
        call, self.call = self.call, None
        self.idle_since, self.deadline = time.monotonic(), math.inf
        return call
