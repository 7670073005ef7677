"""How far a worker is sent before it reports: about a second's worth of epochs."""

STRETCH_S = 1.0
"""About how long a worker trains before it reports: the store is never older than that."""


class Pace:
    """What an epoch takes, learnt per optimizer from what its trials report. `epochs` is a whole trial."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._seconds: dict[str, float] = {}

    def learn(self, optimizer: str, epochs: int, seconds: float) -> None:
        """A trial of `optimizer` has taken `seconds` for `epochs` so far."""
        self._seconds[optimizer] = seconds / epochs

    def stretch(self, optimizer: str, epochs: int, seconds: float) -> int:
        """How many epochs to ask for, at least one, of a trial that has done `epochs` in `seconds`.

        They may reach beyond the trial's end, which the worker knows: a rule may have a budget of its own.
        """
        epoch_s = seconds / epochs if epochs else self._seconds.get(optimizer, STRETCH_S)
        return max(1, int(STRETCH_S / epoch_s)) if epoch_s > 0 else self._epochs
