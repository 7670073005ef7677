"""Checkpoint files: a trial's state as bytes, under a name that tells trial, attempt and epoch.

Which of them counts is the store's to say. Nothing here knows what is in them; `training.state` does.
"""

from dataclasses import dataclass

from sweeper.records import Checkpoint, TrialKey


@dataclass(frozen=True, slots=True)
class CheckpointFiles:
    """The checkpoints of one sweep, in a `directory` of its own: a local path or an fsspec URL."""

    directory: str

    def save(self, key: TrialKey, checkpoint: Checkpoint, state: bytes) -> None:
        """Write a checkpoint, whole or not at all. Raises CheckpointError."""
        raise NotImplementedError

    def load(self, key: TrialKey, checkpoint: Checkpoint) -> bytes:
        """The state that was saved. Raises CheckpointError."""
        raise NotImplementedError

    def forget(self, key: TrialKey, keep: Checkpoint | None = None) -> None:
        """Remove the trial's checkpoints but `keep`, as far as they can be removed."""
        raise NotImplementedError

    def forget_all(self) -> None:
        """Remove the sweep's directory, as far as it can be removed."""
        raise NotImplementedError
