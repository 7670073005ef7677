"""Says in one line why an attempt was lost."""


def blame(error: BaseException) -> str:
    """An error as the store keeps it: its type and its first line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
