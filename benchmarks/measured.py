"""What the benchmarks share: the machine that they ran on, repetitions, tables and JSON.

Every benchmark runs all its sides in one run, one after the other and alternating, each in a process of its
own, and compares medians of what they took: these machines are shared, so that seconds of two runs don't
compare. `make bench` runs them all.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sweeper import machine

HERE = Path(__file__).parent
PACKAGES = ("sweeper", "ray", "optuna", "torch", "pandas", "sqlalchemy", "psycopg")

Row = Mapping[str, Any]


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has; `--help` shows the first line and examples of `description`."""
    lines = (description or "").splitlines()
    examples = [line.strip() for line in lines if line.startswith("    python ")]
    parser = argparse.ArgumentParser(description=lines[0], epilog=f"example: {'; '.join(examples)}")
    parser.add_argument("--json", type=Path, help="write everything measured there too")
    return parser


def side(script: str, *arguments: object, seconds: float = 3600) -> dict[str, Any]:
    """Run one side of a benchmark in a process of its own; it prints a JSON object on its last line.

    Workers of all sides have one thread each, as Sweeper's have. What the side says goes nowhere, unless it
    fails: then it is shown, and the benchmark ends.
    """
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def tell(figures: Mapping[str, Any]) -> None:
    """What a side has measured, for `side` to read."""
    sys.stdout.write(f"\n{json.dumps(figures)}\n")


def progress(line: str) -> None:
    """Say how far a benchmark is, on stderr: stdout carries only the result."""
    sys.stderr.write(f"{line}\n")


def median(values: Sequence[float]) -> float:
    """The median."""
    return float(statistics.median(values))


def spread(values: Sequence[float]) -> str:
    """The median with the lowest and the highest: no more is known of a few repetitions."""
    return f"{median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def environment() -> dict[str, Any]:
    """Hardware and versions, for the JSON and for whoever copies the figures."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": machine.processor(),
        "cores": os.cpu_count(),
        "load before": os.getloadavg()[0],
        "versions": {"python": platform.python_version(), **{p: metadata.version(p) for p in PACKAGES}},
    }


def show(title: str, rows: Sequence[Row]) -> None:
    """Print rows as a table; numbers with three digits that count."""
    table = Table(title=title, title_justify="left", title_style="bold")
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        is_number = all(isinstance(row.get(name, 0), int | float) for row in rows)
        table.add_column(name, justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*[_shown(row.get(name, "")) for name in names])
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def save(path: Path | None, name: str, tables: Mapping[str, Sequence[Row]], **raw: Any) -> None:
    """Write the tables, and whatever they were made from, as JSON; nowhere where `path` is None."""
    if path is not None:
        told = {"benchmark": name, "environment": environment(), "tables": dict(tables), **raw}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told, indent=2, default=str) + "\n", encoding="utf-8")


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
