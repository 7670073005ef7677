"""Keeps passwords out of what Ray and the operating system show of this process.

Ray keeps a driver's command line with its job, for everyone who sees its dashboard, and `ps` shows it to
every user of the machine. A password may stand there in the URL of the store.
"""

import re
import sys

import ray

# A URL's password ends at the last @, for it may hold one; a parameter's at the next one.
_IN_AUTHORITY = re.compile(r"(://[^:/@?]*:).*@")
_IN_QUERY = re.compile(r"([?&][^=&]*password=)[^&\s]*", re.IGNORECASE)


def without_passwords(argument: str) -> str:
    """A command line's argument with `***` for every password of a URL in it."""
    return _IN_QUERY.sub(r"\1***", _IN_AUTHORITY.sub(r"\1***@", argument))


def hide_passwords() -> None:
    """Take the passwords out of this process's command line, as others see it."""
    shown = [without_passwords(part) for part in sys.orig_argv]
    set_title = getattr(ray._raylet, "setproctitle", None)
    if shown != sys.orig_argv and set_title is not None:
        set_title(" ".join(shown))
