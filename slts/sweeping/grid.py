"""A grid in which the n-th training of a study takes the n-th point, so that no two workers take the same."""

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from slts.sweeping.space import Value, grid
from slts.sweeping.trials import place


class GridSampler(BaseSampler):
    """Every point once. Optuna's own draws at random among those nobody has begun, which two workers may do at once."""

    def __init__(self, space: dict[str, BaseDistribution]):
        self.points = grid(space)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict) -> dict[str, Value]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Value:
        return self.points[place(study, trial)][param_name]
