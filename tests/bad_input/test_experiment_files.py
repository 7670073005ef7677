"""Whatever stands in an experiment file or a `--set`, it is an experiment or a list of mistakes."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from bad_input.strategies import QUICKSTART, VALUES, broken_files, hostile
from hypothesis import given
from hypothesis import strategies as st

from sweeper import experiment as experiments
from sweeper.errors import ExperimentError
from sweeper.experiment import Experiment

SAYS_WHAT_IS_LEGAL = re.compile(
    "legal|must|at most|at least|missing|not valid TOML|not UTF-8|not yet|no such file|can't|each|needs|takes"
    "|is written"
)


def mistakes(path: Path, settings: Sequence[str] = ()) -> tuple[str, ...]:
    """The lines that refuse the file, each fit for a terminal; none where it is an experiment."""
    refused = None
    try:
        assert_usable(experiments.read(path, settings))
    except ExperimentError as error:
        refused = error
    if refused is None:
        return ()
    lines = str(refused).split("\n")
    assert len(lines) == len(refused.problems) > 0
    assert all(line.isprintable() and len(line) < 2_100 for line in lines)
    return refused.problems


def assert_usable(experiment: Experiment) -> None:
    """What was accepted can be stored, read back and counted."""
    document = json.loads(json.dumps(experiment.document(), allow_nan=False))
    again = experiments.from_document(document, text=experiment.text, is_resolved=True)
    assert again.document() == experiment.document()
    assert experiment.n_finals >= 0


@given(broken_files())
def test_a_broken_file_is_refused_line_by_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "broken.toml"
    path.write_bytes(content)
    for line in mistakes(path):
        assert SAYS_WHAT_IS_LEGAL.search(line), line


KEYS = (
    "experiment.name",
    "experiment.seed",
    "data.train_size",
    "model.hidden",
    "budget.max_seconds",
    "budget.trials_per_optimizer",
    "search.repeats",
    "final.seeds",
    "resources.gpus_per_trial",
    "space.batch_size",
    "space.init",
    "optimizers.adam",
    "optimizers.adam.beta1",
    "optimizers.x.class",
    "optimizers.momentum.effective_lr",
    "report.targets",
    "a",
)


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES) | hostile), min_size=1, max_size=3))
def test_a_wrong_setting_is_named(
    tmp_path_factory: pytest.TempPathFactory, settings: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "quick.toml"
    path.write_text(QUICKSTART)
    for line in mistakes(path, [f"{key}={value}" for key, value in settings]):
        assert any(key.partition(".")[0] in line for key, _ in settings), line


@given(hostile)
def test_a_setting_of_any_text_is_refused_or_taken(
    tmp_path_factory: pytest.TempPathFactory, setting: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "quick.toml"
    path.write_text(QUICKSTART)
    assert all(line.startswith("--set ") for line in mistakes(path, [setting]))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[" * 10_000_000, "has 10,000,000 bytes; an experiment has at most 100,000"),
        (b"a = 1\nb = " + b"[" * 9_000, "not valid TOML"),
        (b"a." * 8_000 + b"a = 1", "line 1 has 16,005 characters; at most 10,000"),
        (b"a." * 4_000 + b"a = 1", "nested at most 20 deep"),
        (b"a = " + b"[" * 30 + b"]" * 30, "nested at most 20 deep"),
        (b"", "experiment.name: missing"),
        (b"[experiment]\nname = 'a\0b'", "not valid TOML"),
        ("[experiment]\nname = 'x'".encode("utf-16"), "not UTF-8 text (byte 0)"),
        (b"[experiment]\nname = 'x'\nseed = " + b"9" * 5_000, "not valid TOML"),
        (b"[experiment]\nname = 'x'\n[final]\nseeds = 1000000001", "from 1 to 1,000,000,000"),
    ],
    ids=lambda value: repr(value)[:20] if isinstance(value, bytes) else None,
)
def test_a_file_beyond_all_bounds_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_bytes(content)
    assert said in mistakes(path)[0]


@pytest.mark.parametrize("kind", ["pipe", "device", "directory", "loop", "nul", "long"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "wrong.toml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")  # which never ends
    elif kind == "directory":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "nul":
        path = tmp_path / "a\0b"
    else:
        path = tmp_path / ("x" * 5_000)
    (line,) = mistakes(path)
    assert re.search("regular file|directory|can't be read|null byte", line)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf%s", b"%s\r\n"], ids=["mark", "line ends"])
def test_a_file_from_windows_is_taken(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "windows.toml"
    path.write_bytes(content % QUICKSTART.replace("\n", "\r\n").encode())
    assert mistakes(path) == ()


def test_as_many_trials_and_seeds_as_are_legal_are_counted_at_once(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_text(QUICKSTART)
    most = 10**9
    sizes = [f"budget.trials_per_optimizer={most}", f"final.seeds={most}", f"search.repeats={most - 1}"]
    experiment = experiments.read(path, sizes)
    assert experiment.n_finals == 6 * most  # searches of one trial each, of six optimizers, and a pick a seed
