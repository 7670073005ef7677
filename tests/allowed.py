"""What following sweeps may spend: what a test allows."""

from sweeper.analysis.live.budget import Spending


class Allowance:
    """What is allowed, as a test says."""

    is_allowed = True

    def allows(self) -> bool:
        return self.is_allowed


class Free(Spending):
    """Spending without bounds, until a test sets some."""

    def __init__(self) -> None:
        super().__init__()
        self.news = Allowance()  # type: ignore[assignment]
        self.statistics = Allowance()  # type: ignore[assignment]
