"""A module imports only from layers below its own, and each vendor stays where it belongs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "sweeper"

LAYERS = {
    "printable": -1,  # every error's message goes through it
    "errors": 0,
    "crashpoints": 0,
    "records": 1,
    "checkpoints": 1.5,  # files by the words of `records`
    "clock": 1,
    "seeds": 1,
    "machine": 1,
    "scoring": 1,
    "catalog": 1,
    "architectures": 1,
    "schedules": 1,
    "pruning": 1,
    "space": 1.5,  # writes of values in the words of `records`
    "optimizers": 1,
    "experiment": 2,
    "finals": 3,
    "store": 3,
    "training": 3,
    "search": 4,
    "workers": 4,
    "analysis": 4,
    "lab": 4,
    "pacing": 2,
    "watcher": 2,
    "tally": 2.5,
    "metrics": 3,
    "agenda": 4,
    "judging": 4,
    "runs": 4.5,  # trials and workers' slots
    "coordinator": 5,
    "cluster": 5,
    "api": 6,
    "cli": 7,
    "__init__": 7,
    "__main__": 8,
}

VENDORS = {
    "optuna": ("search/", "analysis/optuna_io.py", "analysis/optuna_storage.py"),
    "ray": ("workers/ray/", "cluster/jobs.py"),
    "torch": (
        "training/",
        "optimizers/builders.py",
        "optimizers/custom.py",
        "optimizers/loss_rules/",
        "optimizers/stepping.py",
        "workers/trainer.py",
        "lab/",
        "cli/gradients.py",
    ),
    "pandas": ("analysis/", "cli/tables.py", "cli/output.py"),
    "plotly": ("analysis/",),
    "jinja2": ("lab/", "analysis/report/"),
    "sqlalchemy": ("store/", "analysis/frames.py"),
    "alembic": ("store/",),
    "psycopg": ("store/engine.py", "store/reader.py"),
    "pydantic": ("experiment/",),
    "fsspec": ("checkpoints.py",),
    "typer": ("cli/",),
    "rich": ("cli/",),
    "psutil": ("store/lease.py",),
    "dash": (),
    "flask": (),
    "waitress": (),
    "dashboards": ("cli/dashboard.py",),
}
"""Which modules may import a vendor; the rest of Sweeper doesn't know it."""

MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def layer_of(module: Path) -> float:
    return LAYERS[module.parts[0].removesuffix(".py")]


def imports_of(module: Path) -> list[str]:
    """The full names that a module imports at run time: what stands under TYPE_CHECKING is left out."""
    tree = ast.parse((PACKAGE / module).read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for statement in block.body
        for node in ast.walk(statement)
    }
    names: list[str] = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def test_every_module_has_a_layer() -> None:
    assert {module.parts[0].removesuffix(".py") for module in MODULES} <= LAYERS.keys()


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_only_from_below(module: Path) -> None:
    own = module.parts[0].removesuffix(".py")
    for name in imports_of(module):
        parts = name.split(".")
        if parts[0] == "sweeper" and len(parts) > 1 and parts[1] != own:
            assert LAYERS[parts[1]] < layer_of(module), f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_vendor_is_imported_only_where_it_belongs(module: Path) -> None:
    for name in imports_of(module):
        homes = VENDORS.get(name.split(".")[0])
        if homes is not None:
            assert str(module).startswith(homes), f"{module} imports {name}"


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_importing_sweeper_imports_no_vendor() -> None:
    loaded = run_python("import sys, sweeper; print(*sys.modules)").split()
    assert not {"torch", "ray", "optuna", "pandas", "sqlalchemy"} & set(loaded)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from sweeper.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*sys.modules)"
    )
    loaded = set(run_python(code).splitlines()[-1].split())  # the help itself says "torch"
    assert not {"torch", "ray", "optuna", "pandas", "numpy", "sqlalchemy", "pydantic"} & loaded


def test_the_coordinators_process_needs_no_torch_before_it_trains() -> None:
    code = "import sys, sweeper.api.execution, sweeper.search; print('torch' in sys.modules)"
    assert run_python(code).strip() == "False"


def test_what_workers_send_is_read_without_torch() -> None:
    """Loading torch while Ray's threads run has crashed coordinators that were Ray jobs."""
    code = (
        "import pickle, sys\n"
        "import sweeper.cluster, sweeper.workers.ray\n"
        "from sweeper.workers.stretch import Stretch\n"
        "from sweeper.workers.ray.actor import Actor\n"
        "pickle.loads(pickle.dumps(Stretch((), None, 0.0)))\n"
        "print(Actor.advance.__module__, 'torch' in sys.modules)"
    )
    assert run_python(code).strip() == "sweeper.workers.ray.actor False"
