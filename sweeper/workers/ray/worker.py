"""One worker as the driver sees it: its actor, the trial in hand, the call under way and its deadline."""

import math
import time
from dataclasses import dataclass
from typing import Any

from sweeper.records import Checkpoint, Phase, Trial
from sweeper.workers.protocol import Slot
from sweeper.workers.ray.actor import Assignment

IDLE_S = 0.5
"""A worker that was idle for longer is asked for a sign of life before its next trial begins."""


@dataclass(slots=True)
class Worker:
    """An actor in the place that `serial` counts; `slot` is None until it is ready, `call` while it is idle.

    `failures` counts the actors in this place that died before they were ready, one after the other.
    `sign_of_life` is a call made just before the trial's first: calls run in order, so where both fail the
    process was dead before the trial began.
    """

    serial: int
    actor: Any
    call: Any
    failures: int = 0
    slot: Slot | None = None
    node_id: str = ""
    trial: Trial | None = None
    attempt: int = 0
    checkpoint: Checkpoint | None = None
    is_begun: bool = False
    sign_of_life: Any = None
    idle_since: float = math.inf
    limit_s: float = math.inf
    deadline: float = math.inf

    @property
    def is_free(self) -> bool:
        """Whether it is ready and has no trial."""
        return self.slot is not None and self.call is None and self.trial is None

    def take(self, trial: Trial, attempt: int, checkpoint: Checkpoint | None) -> None:
        """Take `trial` in hand; nothing is sent yet."""
        self.trial, self.attempt, self.checkpoint, self.is_begun = trial, attempt, checkpoint, False

    def send(self, until_epoch: int, limit_s: float) -> None:
        """Ask for a stretch of the trial in hand, within `limit_s`; its first one carries the trial."""
        assert self.trial is not None
        begin = None if self.is_begun else Assignment(self.trial, self.attempt, self.checkpoint)
        if begin is not None and time.monotonic() - self.idle_since > IDLE_S:
            self.sign_of_life = self.actor.hello.options(name="hello").remote()
        doing = "final" if self.trial.key.phase is Phase.FINAL else "train"
        name = f"{doing}[{self.trial.key.optimizer}]"
        self.call = self.actor.advance.options(name=name).remote(begin, until_epoch)
        self.is_begun = True
        self.limit_s, self.deadline = limit_s, time.monotonic() + limit_s

    def answered(self) -> Any:
        """The call that has come to its end, which is under way no more."""
        call, self.call = self.call, None
        self.idle_since, self.deadline = time.monotonic(), math.inf
        return call
