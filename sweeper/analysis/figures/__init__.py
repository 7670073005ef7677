"""The figures, each a plotly `Figure` made of computed numbers; its answer in words is in `layout.meta`.

`search` draws the search, `compared` the finals, `training` learning curves and the workers' time; `style`
says how an optimizer looks wherever it appears.
"""

from sweeper.analysis.figures.compared import finals, pairs, tuned_untuned
from sweeper.analysis.figures.search import (
    expected_best,
    importances,
    incumbents,
    lr_sensitivity,
    win_probability,
)
from sweeper.analysis.figures.style import look, themed, themes
from sweeper.analysis.figures.training import (
    TITLES,
    generalization_gap,
    learning_curves,
    timeline,
    trial_accuracy,
    trial_losses,
)

__all__ = [
    "TITLES",
    "expected_best",
    "finals",
    "generalization_gap",
    "importances",
    "incumbents",
    "learning_curves",
    "look",
    "lr_sensitivity",
    "pairs",
    "themed",
    "themes",
    "timeline",
    "trial_accuracy",
    "trial_losses",
    "tuned_untuned",
    "win_probability",
]
