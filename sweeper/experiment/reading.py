"""Reads an experiment file: TOML, `--set`, defaults, and every mistake at once.

Precedence, highest first: `--set key=value`, the file, the default.
"""

import copy
import stat
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sweeper import optimizers
from sweeper.errors import ExperimentError, UsageError
from sweeper.experiment.arms import read_arms, read_shared
from sweeper.experiment.checks import contradictions
from sweeper.experiment.model import Experiment, resolved
from sweeper.experiment.sections import SECTIONS, Budget, Header, Section
from sweeper.experiment.wording import shown, suggestion

Document = dict[str, Any]

LARGEST_FILE = 100_000
"""Bytes of an experiment file, at most; those that ship have 1,000."""

LONGEST_LINE = 10_000
"""Characters of a line, and of a `--set`: tomllib's time grows with the square of a key's parts."""

DEEPEST = 20
"""So deep tables and lists may be nested; the deepest legal key, `low` of a range, lies 4 deep."""


def read(path: Path | str, settings: Sequence[str] = ()) -> Experiment:
    """The experiment in the file at `path`, with `settings` ("key=value", value in TOML) on top.

    Raises ExperimentError with every mistake found.
    """
    source = str(path)
    try:
        content = _content(Path(path))
        text = content.decode("utf-8-sig")  # editors on Windows put a mark first
    except FileNotFoundError:
        raise ExperimentError(source, ["no such file"]) from None
    except UnicodeDecodeError as error:
        raise ExperimentError(source, [f"is not UTF-8 text (byte {error.start})"]) from None
    except OSError as error:
        raise ExperimentError(source, [f"can't be read: {error.strerror}"]) from None
    except ValueError as error:
        raise ExperimentError(source, [str(error)]) from None
    return loads(text, settings, source=source)


def _content(path: Path) -> bytes:
    """What the file holds. Raises ValueError where it can be no experiment, before it is read."""
    status = path.stat()  # ValueError: a NUL in the path
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("is a directory; an experiment is one TOML file")
    if not stat.S_ISREG(status.st_mode):  # a pipe or a device, which may never end
        raise ValueError("is not a regular file; an experiment is one TOML file")
    if status.st_size > LARGEST_FILE:
        raise ValueError(f"has {status.st_size:,} bytes; an experiment has at most {LARGEST_FILE:,}")
    return path.read_bytes()


def loads(text: str, settings: Sequence[str] = (), *, source: str = "experiment") -> Experiment:
    """The experiment written as the TOML document `text`; `source` names it in error messages."""
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > LONGEST_LINE:
            problem = f"line {number} has {len(line):,} characters; at most {LONGEST_LINE:,} are legal"
            raise ExperimentError(source, [problem])
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, or a number or nesting beyond all bounds
        raise ExperimentError(source, [f"is not valid TOML: {error}"]) from None
    return from_document(document, settings, source=source, text=text)


def from_document(
    document: Mapping[str, Any],
    settings: Sequence[str] = (),
    *,
    source: str = "experiment",
    text: str = "",
    is_resolved: bool = False,
) -> Experiment:
    """The experiment of a parsed document.

    `is_resolved`: it comes from `Experiment.document()`, and its optimizers get the dimensions that stand in
    it and no others, whatever the default spaces are by now.
    """
    problems: list[str] = []
    _require_shallow(document, source)
    merged = _with_settings(document, settings, problems)
    _require_shallow(merged, source)
    problems += _unknown_tables(merged)
    sections = {key: _read_section(key, model, merged, problems) for key, model in SECTIONS.items()}
    shared = read_shared(_table(merged, "space", problems), problems)
    # With a wrong number of trials the default spaces can't be resolved; the arms' own mistakes still show.
    budget = sections["budget"]
    n_trials = (budget if isinstance(budget, Budget) else Budget()).trials_per_optimizer
    arms = read_arms(_table(merged, "optimizers", problems), shared, n_trials, problems, is_resolved)
    problems += contradictions(sections, arms)
    if problems:
        raise ExperimentError(source, problems)
    fields: Any = {("header" if key == "experiment" else key): section for key, section in sections.items()}
    experiment = Experiment(**fields, space=shared, arms=arms, text=text)
    return replace(
        experiment,
        search=resolved(experiment.search, experiment.budget),
        notices=tuple(_notices(experiment)),
    )


def checked_name(name: str) -> str:
    """`name`, if a sweep may be called that. Raises UsageError."""
    try:
        Header(name=name)
    except ValidationError:
        legal = _legal(Header, "name")
        raise UsageError(f"--name {shown(name)}: must be {legal}") from None
    return name


def _with_settings(document: Mapping[str, Any], settings: Iterable[str], problems: list[str]) -> Document:
    merged = copy.deepcopy(dict(document))
    for setting in settings:
        key, equals, value = setting.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if len(setting) > LONGEST_LINE:
            size = f"has {len(setting):,} characters; at most {LONGEST_LINE:,} are legal"
            problems.append(f"--set {shown(setting)}: {size}")
            continue
        if not equals or len(parts) < 2 or not all(parts):
            problems.append(f"--set {setting!r}: must be written table.key=value")
            continue
        table = merged
        for part in parts[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                problems.append(f"--set {setting!r}: {part} is a value, not a table")
                break
        else:
            table[parts[-1]] = _toml_value(value.strip())
    return merged


def _require_shallow(document: Mapping[str, Any], source: str) -> None:
    """Raises ExperimentError where tables or lists are nested too deep for what reads them afterwards."""
    problem = f"tables and lists may be nested at most {DEEPEST} deep"
    if too_deep := [f"{key}: {problem}" for key, value in document.items() if _is_too_deep(value)]:
        raise ExperimentError(source, too_deep)


def _is_too_deep(value: object) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)


def _toml_value(text: str) -> Any:
    """The TOML value `text`, or the text itself where it is none."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["value"] if parsed.keys() == {"value"} else text


def _table(document: Document, key: str, problems: list[str]) -> Document:
    table = document.get(key, {})
    if isinstance(table, dict):
        return table
    problems.append(f"{key} = {shown(table)}: must be a table, [{key}]")
    return {}


def _unknown_tables(document: Document) -> list[str]:
    legal = [*SECTIONS, "space", "optimizers"]
    return [
        f"[{key}]: unknown table{suggestion(key, legal)}; legal: {', '.join(legal)}"
        for key in document
        if key not in legal
    ]


def _read_section(key: str, model: type[Section], document: Document, problems: list[str]) -> Section | None:
    table = _table(document, key, problems)
    try:
        return model.model_validate(table)
    except ValidationError as error:
        # A key of a union type, or a list, is reported once for each part of it that is wrong.
        problems += dict.fromkeys(_explain(key, model, table, error))
        return None


def _explain(
    section: str, model: type[Section], table: Mapping[str, Any], error: ValidationError
) -> list[str]:
    lines = []
    for mistake in error.errors(include_url=False):
        key = str(mistake["loc"][0])
        if mistake["type"] == "extra_forbidden":
            legal = list(model.model_fields)
            lines.append(f"{section}.{key}: unknown key{suggestion(key, legal)}; legal: {', '.join(legal)}")
        elif mistake["type"] == "missing":
            lines.append(f"{section}.{key}: missing; must be {_legal(model, key)}")
        else:
            lines.append(f"{section}.{key} = {shown(table[key])}: must be {_legal(model, key)}")
    return lines


def _legal(model: type[Section], key: str) -> str:
    field = model.model_fields[key]
    if field.description:
        return field.description
    choices = getattr(field.annotation, "__args__", ())
    return "one of " + ", ".join(str(choice) for choice in choices)


def _notices(experiment: Experiment) -> list[str]:
    notices = []
    as_they_are = [
        arm.name
        for arm in experiment.arms
        if arm.torch_class is None and optimizers.ARMS[arm.name].sees.asks_for_the_loss
    ]
    if experiment.data.augment and as_they_are:
        notices.append(f"[data] augment: {', '.join(as_they_are)} see the images as they are")
    return notices
