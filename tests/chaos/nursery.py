"""Brings up coordinators by the hundred: a process that has imported everything, and forks one for each life.

A fork begins in a hundredth of the time that a new interpreter needs to import torch. Orders come as lines of
JSON on stdin, answers go to stdout. What a coordinator prints goes to a file.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Life:
    """A coordinator that was brought up."""

    pid: int
    output: Path

    @property
    def said(self) -> str:
        """What it printed so far."""
        return self.output.read_text()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal; it may have ended by itself."""
        os.kill(self.pid, number)


class Nursery:
    """Starts coordinators, and tells how they ended. A context."""

    def __enter__(self) -> "Nursery":
        self._directory = tempfile.TemporaryDirectory()
        # Forking is safe as long as the parent has never used torch's or BLAS's threads.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "nursery.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment, "PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path])},
        )
        self._n = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()
        self._directory.cleanup()

    def start(
        self,
        command: Sequence[str],
        point: str | None = None,
        nth: int = 1,
        number: int = signal.SIGKILL,
    ) -> Life:
        """Start `sweeper COMMAND...`, which gets the signal when it reaches `point` for the nth time."""
        self._n += 1
        output = Path(self._directory.name) / f"{self._n}.txt"
        order = {"command": list(command), "point": point, "nth": nth, "number": int(number)}
        return Life(self._ask({**order, "output": str(output)}), output)

    def wait(self, life: Life) -> int:
        """How it ended: its exit status, or minus the signal that killed it."""
        return self._ask({"wait": life.pid})

    def has_ended(self, life: Life) -> bool:
        """Whether it has, without waiting."""
        return bool(self._ask({"peek": life.pid}))

    def live(self, command: Sequence[str], point: str | None = None, nth: int = 1) -> tuple[int, str]:
        """A whole life: how it ended, and what it said."""
        life = self.start(command, point, nth)
        return self.wait(life), life.said

    def _ask(self, order: dict[str, object]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _bring_up(order: dict[str, object]) -> int:
    from chaos.coordinator import live

    pid = os.fork()
    if pid:
        return pid
    os.setpgid(0, 0)
    output = os.open(str(order["output"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    status = 70
    try:
        status = live(order["command"], order["point"], order["nth"], order["number"])  # type: ignore[arg-type]
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _attend() -> None:
    """Answer orders until there are no more; end what still lives then."""
    import optuna  # noqa: F401
    import pandas  # noqa: F401
    import torch._dynamo  # noqa: F401  # which torch imports when the first optimizer is made

    import sweeper.api.execution
    import sweeper.cli.output
    import sweeper.cli.progress
    import sweeper.search
    import sweeper.workers.inline  # noqa: F401

    ended: dict[int, int] = {}
    living: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            pid = order["wait"]
            answer = ended.pop(pid) if pid in ended else os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            living.discard(pid)
        elif "peek" in order:
            pid = order["peek"]
            if pid not in ended:
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    ended[pid] = os.waitstatus_to_exitcode(status)
            answer = int(pid in ended)
        else:
            answer = _bring_up(order)
            living.add(answer)
        print(answer, flush=True)
    for pid in living - ended.keys():
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    _attend()
