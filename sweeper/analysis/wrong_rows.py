"""Rows of tables from elsewhere that no trial, and no epoch of one, can have."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from sweeper.analysis import spreadsheets
from sweeper.printable import one_line
from sweeper.records import Origin, Phase, TrialState

REQUIRED = ("optimizer", "number")

KEYS = ["optimizer", "phase", "number"]
"""What tells trials apart."""

ORIGINS = {
    Phase.SEARCH: (Origin.IMPORTED, Origin.PROPOSED, Origin.DEFAULT),
    Phase.FINAL: (Origin.FINAL, Origin.SUPERSEDED),
}
"""What a trial's setting may come from."""

LONGEST_NAME = 100
"""The store keeps so many characters of an optimizer's name."""


def of_trials(filled: pd.DataFrame, source: str) -> Iterator[str]:
    """What is wrong with rows that no trial can have, a line for each."""
    yield from _unknown_words(filled, source)
    for place in filled.index[filled["optimizer"].str.len() > LONGEST_NAME]:
        name = one_line(str(filled.at[place, "optimizer"]))
        yield spreadsheets.problem(source, place, "optimizer", name, f"at most {LONGEST_NAME} characters")
    known = filled[filled[list(REQUIRED)].notna().all(axis="columns")]
    for place in known.index[known.duplicated(KEYS)]:
        yield f"{spreadsheets.row(source, place)} {_trial(known.loc[place])} stands there twice"
    yield from _unlike_settings(known, source)


def _unknown_words(filled: pd.DataFrame, source: str) -> Iterator[str]:
    for column, legal in (("phase", Phase), ("state", TrialState)):
        for place in filled.index[~filled[column].isin(list(legal))]:
            words = f"one of {', '.join(legal)}"
            yield spreadsheets.problem(source, place, column, filled.at[place, column], words)
    for phase, origins in ORIGINS.items():
        wrong = (filled["phase"] == phase) & ~filled["origin"].isin(origins)
        for place in filled.index[wrong]:
            words = f"one of {', '.join(origins)} in phase {phase}"
            yield spreadsheets.problem(source, place, "origin", filled.at[place, "origin"], words)


def _unlike_settings(known: pd.DataFrame, source: str) -> Iterator[str]:
    """Finals that repeat nobody knows which search trial."""
    search, finals = known[known["phase"] == Phase.SEARCH], known[known["phase"] == Phase.FINAL]
    tried = set(zip(search["optimizer"], search["number"], strict=True))
    untuned = set(search.loc[(search["origin"] == Origin.DEFAULT) & (search["number"] == 0), "optimizer"])
    searched = set(search["optimizer"])
    for place, optimizer, setting in zip(finals.index, finals["optimizer"], finals["setting"], strict=True):
        if pd.isna(setting):
            row = spreadsheets.row(source, place)
            yield f"{row} setting is empty: must be the number of the search trial repeated"
        elif optimizer in searched and (optimizer, setting) not in tried:
            legal = f"the number of a search trial of {one_line(optimizer)}"
            yield spreadsheets.problem(source, place, "setting", setting, legal)
        elif setting == 0 and optimizer not in untuned:
            legal = "1 or more: 0 is the untuned one (origin default); number search trials from 1"
            yield spreadsheets.problem(source, place, "setting", setting, legal)


def _trial(row: "pd.Series[Any]") -> str:
    return f"{one_line(str(row['optimizer']))} number {row['number']} of phase {row['phase']}"


def of_epochs(known: pd.DataFrame, trials: pd.DataFrame, source: str) -> Iterator[str]:
    """What is wrong with rows that are no epoch of any of the trials, a line for each."""
    whole = known[known[[*REQUIRED, "epoch"]].notna().all(axis="columns")]
    whose = whole[KEYS].merge(trials[KEYS].drop_duplicates(), on=KEYS, how="left", indicator=True)["_merge"]
    for place in whole.index[(whose == "left_only").to_numpy()]:
        yield f"{spreadsheets.row(source, place)} there is no trial {_trial(whole.loc[place])}"
    for place in whole.index[whole.duplicated([*KEYS, "epoch"])]:
        yield f"{spreadsheets.row(source, place)} this epoch of {_trial(whole.loc[place])} stands there twice"
