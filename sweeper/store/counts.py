"""How far sweeps are, as counts that the database makes: cheap to ask for, however large a sweep is."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from sweeper.records import Origin, Phase, SweepState, TrialState
from sweeper.store import stored
from sweeper.store.failures import translated
from sweeper.store.lease import NOW
from sweeper.store.schema import attempts, sweeps, trials
from sweeper.store.store import Store


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which sweep this is, and how it stood at one moment: the same stamp means that nothing has changed.

    `version` grows with every write, `token` with every coordinator. The state changes without a write when
    a lease ends.
    """

    sweep_id: int
    created_at: datetime
    token: int
    version: int
    state: SweepState

    def __str__(self) -> str:
        """The same text for the same stamp."""
        begun = (
            f"{self.created_at:%Y%m%dT%H%M%S.%f}"  # SQLite gives the id of a deleted sweep to the next one
        )
        return f"{self.sweep_id}-{begun}-{self.token}-{self.version}-{self.state}"

    def is_of_the_same_run(self, other: "Stamp") -> bool:
        """Whether one coordinator wrote all that lies between the two."""
        ours = (self.sweep_id, self.created_at, self.token)
        return ours == (other.sweep_id, other.created_at, other.token)


@dataclass(frozen=True, slots=True)
class Count:
    """The `n` trials of an optimizer with one phase, origin and state.

    `lowest` and `highest` are of the objective, None where none was recorded; `epochs` and `seconds` (of
    training and evaluation) are those of their latest attempts.
    """

    optimizer: str
    phase: Phase
    origin: Origin
    state: TrialState
    n: int
    lowest: float | None
    highest: float | None
    epochs: int
    seconds: float


def stamps(store: Store, name: str | None = None) -> dict[str, Stamp]:
    """The stamps of all sweeps, newest first, or of the one called `name`, if there is one."""
    wanted = ("id", "name", "state", "created_at", "version", "lease_token", "lease_expires")
    owner = ("owner_host", "owner_pid", "owner_started")
    query = sa.select(*(sweeps.c[column] for column in (*wanted, *owner)), NOW.label("now"))
    query = query.order_by(sweeps.c.created_at.desc(), sweeps.c.id.desc())
    if name is not None:
        query = query.where(sweeps.c.name == name)
    with translated(store.engine.url), store.engine.connect() as connection:
        return {
            row["name"]: Stamp(
                sweep_id=row["id"],
                created_at=row["created_at"],
                token=row["lease_token"],
                version=row["version"],
                state=stored.state(row),
            )
            for row in connection.execute(query).mappings()
        }


def counts(store: Store, sweep_id: int, objective: str) -> list[Count]:
    """The trials of a sweep by optimizer, phase, origin and state."""
    kind = (trials.c.optimizer, trials.c.phase, trials.c.origin, trials.c.state)
    value = trials.c[objective]
    query = (
        sa.select(
            *kind,
            sa.func.count().label("n"),
            sa.func.min(value).label("lowest"),
            sa.func.max(value).label("highest"),
            sa.func.sum(trials.c.epochs).label("epochs"),
            sa.func.sum(
                sa.func.coalesce(trials.c.train_s, 0.0) + sa.func.coalesce(trials.c.eval_s, 0.0)
            ).label("seconds"),
        )
        .where(trials.c.sweep_id == sweep_id)
        .group_by(*kind)
        .order_by(sa.func.min(trials.c.id))
    )
    with translated(store.engine.url), store.engine.connect() as connection:
        return [
            Count(
                optimizer=row["optimizer"],
                phase=Phase(row["phase"]),
                origin=Origin(row["origin"]),
                state=TrialState(row["state"]),
                n=row["n"],
                lowest=row["lowest"],
                highest=row["highest"],
                epochs=int(row["epochs"]),
                seconds=float(row["seconds"]),
            )
            for row in connection.execute(query).mappings()
        ]


def n_open_attempts(store: Store, sweep_id: int) -> int:
    """How many attempts of the sweep are under way: as many as there are workers at work."""
    is_running = (trials.c.sweep_id == sweep_id) & (trials.c.state == TrialState.RUNNING.value)
    query = (
        sa.select(sa.func.count())
        .select_from(attempts)
        .join(trials, (trials.c.id == attempts.c.trial_id) & (trials.c.attempt == attempts.c.attempt))
        .where(is_running, attempts.c.ended_at.is_(None))
    )
    with translated(store.engine.url), store.engine.connect() as connection:
        return int(connection.scalar(query) or 0)
