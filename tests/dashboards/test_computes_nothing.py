"""The page shows what `sweeper.analysis` computes, and computes nothing itself: held against its source."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "dashboards"
MODULES = sorted(PACKAGE.rglob("*.py"))

ALLOWED = ("sweeper.analysis", "sweeper.errors")
LECTURE = ("sweeper.lab", "sweeper.optimizers")
"""What only the Lecture tab may call."""

COMPUTING = {"math", "statistics", "numpy", "pandas", "scipy", "decimal", "fractions", "random", "sqlalchemy"}
REDUCING = {"sum", "min", "max", "abs", "round", "divmod", "pow", "sorted"}


def imports(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_only_the_analysis_is_called(path: Path) -> None:
    allowed = ALLOWED + (LECTURE if path.name == "lecture.py" else ())
    for name in imports(ast.parse(path.read_text())):
        assert name.split(".")[0] not in COMPUTING, name
        assert not name.startswith("sweeper") or name.startswith(allowed), name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_nothing_is_added_up_compared_or_ordered(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.BinOp):
            assert isinstance(node.op, (ast.Add, ast.BitOr)), f"line {node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.Compare) and path.name not in ("callbacks.py", "screens.py", "address.py"):
            ordering = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
            assert not any(isinstance(op, ordering) for op in node.ops), ast.unparse(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in REDUCING, f"line {node.lineno}: {ast.unparse(node)}"


def test_the_pages_script_computes_nothing_either() -> None:
    script = (PACKAGE / "assets" / "page.js").read_text()
    assert "Math." not in script
    assert "fetch(" not in script


def test_a_page_can_be_installed() -> None:
    for file in ("index.html", "assets/page.css", "assets/page.js"):
        assert (PACKAGE / file).is_file(), file
