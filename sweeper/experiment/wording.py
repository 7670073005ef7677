"""How error messages about an experiment file show a value, and guess what was meant."""

import difflib
import json
from collections.abc import Iterable


def shown(value: object) -> str:
    """A value as an error message shows it: nearly as TOML would write it, cut where it is long."""
    try:
        text = json.dumps(list(value) if isinstance(value, tuple) else value, default=str, ensure_ascii=False)
    except (ValueError, RecursionError):  # a number with thousands of digits, a nesting thousands deep
        return f"a {type(value).__name__} too long to show"
    return text if len(text) <= 80 else f"{text[:77]}..."


def suggestion(wrong: str, legal: Iterable[str]) -> str:
    """` (did you mean X?)` where one of `legal` comes close to `wrong`, else nothing."""
    close = difflib.get_close_matches(wrong, list(legal), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
