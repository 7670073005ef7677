"""Whether a trial that was trained again came out the same."""

from collections.abc import Sequence

import pandas as pd

from sweeper.records import EpochRecord

COMPARED = ["samples", "grad_evals", "train_loss", "val_loss", "val_accuracy"]


def compare_epochs(stored: pd.DataFrame, records: Sequence[EpochRecord]) -> tuple[bool | None, float]:
    """Hold `records` against the `stored` epochs of the same trial, rows of the frame `epochs`.

    Gives whether every stored epoch is the same, bit for bit (None where none is stored), and the largest
    difference of any value; infinite where an epoch or a value is missing.
    """
    if stored.empty:
        return None, 0.0
    rows = [{"epoch": r.epoch, **{name: getattr(r, name) for name in COMPARED}} for r in records]
    before = stored.set_index("epoch")[COMPARED].astype("float64")
    now = pd.DataFrame(rows, columns=["epoch", *COMPARED]).set_index("epoch").astype("float64")
    # The store keeps no number that is not finite.
    now = now.reindex(before.index).replace([float("inf"), float("-inf")], float("nan"))
    is_same = (before == now) | (before.isna() & now.isna())
    if bool(is_same.to_numpy().all()):
        return True, 0.0
    return False, float((before - now).abs().where(~is_same, 0.0).fillna(float("inf")).to_numpy().max())
