"""The documentation can't rot: keys, commands and links are held against the code."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

import sweeper
from sweeper import optimizers, space
from sweeper.cli import app
from sweeper.experiment.sections import SECTIONS

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text()
CLUSTER = (ROOT / "docs" / "cluster.md").read_text()
COMMANDS = re.findall(
    r"^(sweeper [^#\n]+)", README + (ROOT / "docs" / "lecture.md").read_text() + CLUSTER, flags=re.MULTILINE
)
KEYS = (ROOT / "docs" / "experiment-file.md").read_text()


def documented_keys() -> dict[str, str]:
    """Each key in the tables of the experiment file's page, with the rest of its row."""
    return dict(re.findall(r"^\| `([a-z]+\.\w+)`([^\n]*)$", KEYS, flags=re.MULTILINE))


def test_every_key_of_the_experiment_file_is_documented() -> None:
    keys = {f"{table}.{key}" for table, section in SECTIONS.items() for key in section.model_fields}
    keys |= {f"space.{key}" for key in space.SHARED}
    assert documented_keys().keys() == keys


def test_every_documented_default_is_the_default() -> None:
    for key, row in documented_keys().items():
        table, _, name = key.partition(".")
        if table == "space" or key == "experiment.name":
            continue
        default = SECTIONS[table].model_fields[name].default
        shown = row.split("|")[1].strip().strip("`").strip('"')
        wanted = str(list(default)) if isinstance(default, tuple) else str(default)
        assert shown.lower() == wanted.lower(), key


def test_every_optimizers_keys_are_documented() -> None:
    table = KEYS[KEYS.index("| optimizer |") :]
    for name, arm in optimizers.ARMS.items():
        row = next(line for line in table.splitlines() if f"`{name}`" in line)
        assert all(f"`{key}`" in row for key in arm.keys()), name  # noqa: SIM118 (a method of ours)


def test_every_command_is_in_the_readme() -> None:
    group = get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert command.hidden or f"sweeper {name}" in README, name


def test_every_public_name_is_in_the_readme() -> None:
    for name in ("run", "load", "import_trials"):
        assert f"sweeper.{name}(" in README
    assert set(sweeper.__all__) == {"Sweep", "import_trials", "load", "resume", "run"}


@pytest.mark.parametrize("line", COMMANDS)
def test_the_documented_commands_have_the_options_they_use(line: str) -> None:
    words = shlex.split(line)[1:]
    command = words[:2] if words[0] == "data" else words[:1]
    known = CliRunner().invoke(app, [*command, "--help"], terminal_width=200).stdout
    for option in (word for word in words if word.startswith("--")):
        assert option in known
    for file in (word for word in words if word.endswith(".toml")):
        assert (ROOT / file).exists()


def test_the_clusters_commands_and_settings_are_well_formed() -> None:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", CLUSTER, flags=re.MULTILINE | re.DOTALL)
    assert {kind for kind, _ in blocks} == {"bash", "yaml"}
    for kind, text in blocks:
        if kind == "yaml":
            assert yaml.safe_load(text)["spec"]["authOptions"] == {"mode": "token"}
        else:
            subprocess.run(["bash", "-n"], input=text.encode(), check=True, timeout=10)


def test_every_service_of_the_compose_file_is_documented() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    rows = re.findall(r"^\| (`[^|]*)", CLUSTER, flags=re.MULTILINE)
    assert set(re.findall(r"`([\w-]+)`", " ".join(rows))) == services.keys()


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    text = (ROOT / document).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http"):
            assert ((ROOT / document).parent / target).exists(), target
