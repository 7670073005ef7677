"""Trials and reports as bytes, on their way between the driver and its workers.

Ray sends bytes as they are. Anything else it pickles by a way of its own, which also knows functions and
classes that the other side can't import: for what is sent here that takes more than three times as long.
"""

import pickle
from typing import Any


def packed(sent: object) -> bytes:
    """`sent`, an object of classes that the other side can import."""
    return pickle.dumps(sent, pickle.HIGHEST_PROTOCOL)


def unpacked(received: bytes) -> Any:
    """What `packed` was given."""
    return pickle.loads(received)
