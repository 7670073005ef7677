"""The landscape page: update rules walking over losses, in one HTML file that needs no network.

The page holds every walk (`sweeper.lab.walks`), so its script only looks up and draws. A policy in its head
forbids it to load anything.
"""

import base64
import json
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from sweeper.lab import packing, walks
from sweeper.lab.presets import PRESETS
from sweeper.lab.surfaces import CONDITION_NUMBERS, SURFACES
from sweeper.optimizers.colours import RULE_COLOURS

SCRIPTS = ("landscape_data.js", "landscape_map.js", "landscape_chart.js", "landscape.js")


def page() -> str:
    """The whole page, the same text at every call. Takes about two seconds."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_read("landscape.html")).render(
        # These five the template marks as safe: the package's own files, base64, and JSON whose "</" is
        # escaped, so that no text in it can end the script element.
        style=_read("landscape.css"),
        script="\n".join(_read(name) for name in SCRIPTS),
        facts=json.dumps(facts(), ensure_ascii=False, allow_nan=False).replace("</", "<\\/"),
        walks=base64.b64encode(packing.pack_all()).decode(),
        relief=base64.b64encode(packing.relief()).decode(),
        colours=RULE_COLOURS,
        walkers=walks.WALKERS,
        conditions=CONDITION_NUMBERS,
        others=[surface for surface in SURFACES if surface.condition is None],
        n_steps=walks.N_STEPS,
        presets=PRESETS,
        dials=DIAL_LABELS,
    )


def write(path: Path) -> None:
    """Writes the page to `path`, whose folder must exist."""
    path.write_text(page(), encoding="utf-8")


DIAL_LABELS = {
    "lr": "lr of SGD, Momentum, Nesterov",
    "adaptive_lr": "lr of AdaGrad, RMSProp, Adam",
    "rho": "rho of Momentum and Nesterov",
    "decay": "decay of RMSProp",
    "beta1": "b1 of Adam",
    "beta2": "b2 of Adam",
}


def facts() -> dict[str, Any]:
    """What the script has to know to look a walk up and to draw it, ready for JSON."""
    return {
        "nSteps": walks.N_STEPS,
        "dials": walks.DIALS,
        "rules": [
            {
                "key": walker.key,
                "label": walker.label,
                "dials": list(walker.dials.values()),
                "limits": [walks.stability_limit(walker.key, rho) for rho in walks.DIALS["rho"]],
            }
            for walker in walks.WALKERS
        ],
        "surfaces": [
            {
                "key": surface.key,
                "title": surface.title,
                "formula": surface.formula,
                "condition": surface.condition,
                "start": surface.start,
                "bounds": surface.bounds,
                "box": packing.box(surface).tolist(),
                "landmarks": [{"name": name, "at": point} for name, point in surface.landmarks()],
                "noise": surface.noise,
            }
            for surface in SURFACES
        ],
        "presets": [
            {
                "key": preset.key,
                "look": preset.look,
                "surface": preset.surface,
                "rules": preset.rules,
                "noisy": preset.noisy,
                "dials": preset.settings(),
            }
            for preset in PRESETS
        ],
        "packing": {
            "gone": packing.GONE,
            "levelsPerDecade": packing.LEVELS_PER_DECADE,
            "decades": packing.DECADES,
            "relief": packing.RELIEF_SHAPE,
        },
    }


def _read(name: str) -> str:
    return (resources.files("sweeper.lab") / name).read_text(encoding="utf-8")
