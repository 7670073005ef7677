"""Says in one line why an attempt was lost."""


def blame(error: BaseException) -> str:
    """An error as the store keeps it: its type and its first line."""
    line = first_line(error)
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def first_line(error: BaseException) -> str:
    """The first line of an error's message; empty where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else ""
