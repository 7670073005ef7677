"""What a page's URL asks for, so that whoever gets the URL sees the same."""

from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from sweeper.analysis.live import TABS, Wanted

SWEEPS = "/sweeps/"
FIRST_TAB = next(iter(TABS))
LONGEST_FIND = 200


@dataclass(frozen=True, slots=True)
class Address:
    """The list of sweeps (`sweep` is None), or a sweep: its tab, the listing wanted, and one trial's key."""

    sweep: str | None = None
    tab: str = FIRST_TAB
    wanted: Wanted = field(default_factory=Wanted)
    trial: str = ""

    @property
    def path(self) -> str:
        """The URL's path."""
        return "/" if self.sweep is None else SWEEPS + quote(self.sweep, safe="")

    @property
    def search(self) -> str:
        """The URL's question, with nothing in it that goes without saying."""
        wanted = self.wanted
        told = {
            "tab": self.tab,
            "optimizer": wanted.optimizer,
            "phase": wanted.phase,
            "state": wanted.state,
            "find": wanted.find,
            "sort": wanted.sort,
            "down": "1" if wanted.descending else "",
            "page": str(wanted.page),
            "trial": self.trial,
        }
        usual = {"tab": FIRST_TAB, "sort": Wanted().sort, "page": str(Wanted().page)}
        kept = {key: value for key, value in told.items() if value and value != usual.get(key)}
        return f"?{urlencode(kept)}" if kept else ""

    @property
    def href(self) -> str:
        """The whole URL on this server."""
        return self.path + self.search

    def on(self, tab: str) -> "Address":
        """The same sweep's other tab."""
        return Address(self.sweep, tab)

    def wanting(self, **changes: Any) -> "Address":
        """The same with another listing; from its first page, unless `changes` say which."""
        return replace(self, wanted=replace(self.wanted, **{"page": 1, **changes}))

    def about(self, trial: str) -> "Address":
        """The same with one trial shown, or none."""
        return replace(self, trial=trial)


def parse(path: str | None, search: str | None) -> Address:
    """The address of a URL's path and question; what it doesn't understand is left out."""
    told = dict(parse_qsl((search or "").removeprefix("?")))
    page = told.get("page", "")
    wanted = Wanted(
        optimizer=told.get("optimizer", ""),
        phase=told.get("phase", ""),
        state=told.get("state", ""),
        find=told.get("find", "")[:LONGEST_FIND],
        sort=told.get("sort", Wanted().sort),
        descending=bool(told.get("down")),
        page=int(page) if page.isdecimal() and len(page) < 10 else Wanted().page,
    )
    tab = told.get("tab", FIRST_TAB)
    sweep = unquote(path.removeprefix(SWEEPS)) if path and path.startswith(SWEEPS) else None
    return Address(sweep or None, tab if tab in TABS else FIRST_TAB, wanted, told.get("trial", ""))
