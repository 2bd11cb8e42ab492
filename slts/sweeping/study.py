"""A study: a file of ``sweeps/``, checked against ``slts train``, and what Optuna keeps of it."""

from dataclasses import dataclass
from pathlib import Path

import optuna
from omegaconf import DictConfig
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage

from slts.config import compose
from slts.data.shard_source import corpus_of
from slts.errors import UserError
from slts.metrics.columns import validated
from slts.plain_yaml import read_yaml
from slts.schema import PACKAGE
from slts.sweeping.grid import GridSampler
from slts.sweeping.space import Value, ends, grid, override, read_space
from slts.systems import check_task, given_by
from slts.training.run_directory import config_hash

KEYS = ("space", "sampler", "pruner", "objectives", "trials", "hours", "overrides", "evaluate")
SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("asha", "median", "none")
DIRECTIONS = ("maximize", "minimize")
OWN = ("data", "name", "runs", "dry_run")
"""Keys of slts train that a study file may not set: the worker does, data= because it may be a command."""
SCORED = ("run", "data")
"""Keys of slts evaluate that a study file may not set: what is scored is the trial's run, on its own corpus."""
LARGEST = 1 << 20
"""Bytes of a study file; ours have some 400."""
OBJECTIVE = "val/a_stoi"
DEFINITION = "definition"
"""User attribute of an Optuna study: what must be the same for a worker to join."""
WAIT = 4
"""Trials that end before the median pruner ends others."""
KEPT = 3
"""ASHA lets the best third go on from each rung."""


def sweeps_dir() -> Path:
    """``sweeps/`` inside an installed wheel, else beside the package in a checkout."""
    inside = PACKAGE / "sweeps"
    return inside if inside.is_dir() else PACKAGE.parent / "sweeps"


@dataclass(frozen=True)
class Study:
    """What a study file says; the defaults are those of a file that names only its space."""

    file: Path
    space: dict[str, BaseDistribution]
    overrides: tuple[str, ...] = ()
    sampler: str = "tpe"
    pruner: str = "none"
    objectives: tuple[tuple[str, str], ...] = ((OBJECTIVE, "maximize"),)
    trials: int | None = None
    hours: float | None = None
    evaluate: tuple[str, ...] | None = None
    """Overrides of slts evaluate, which scores every run that was trained to the end; None scores none."""

    def point(self, values: dict[str, Value]) -> list[str]:
        """Overrides of slts train for one point of the space."""
        return [*self.overrides, *(override(key, value) for key, value in values.items())]

    @property
    def metrics(self) -> list[str]:
        return [name for name, _ in self.objectives]

    def make_sampler(self) -> BaseSampler:
        match self.sampler:
            case "grid":
                return GridSampler(self.space)
            case "random":
                return RandomSampler()
        # Workers train at the same time: what is not finished yet counts as bad, so that they spread.
        return TPESampler(constant_liar=True)

    def make_pruner(self, config: DictConfig) -> BasePruner:
        match self.pruner:
            case "asha":
                return SuccessiveHalvingPruner(min_resource=config.validate_every, reduction_factor=KEPT)
            case "median":
                return MedianPruner(n_startup_trials=WAIT)
        return NopPruner()


def read_study(name: str, overrides: list[str], trials: int | None = None) -> Study:
    """A file of ``sweeps/`` by name, or any by its path; ``overrides`` are added to its own, ``trials`` replaces its.

    Raises:
        UserError: no such file, or a line of it that cannot be meant.
    """
    file = Path(name) if name.endswith((".yaml", ".yml")) else sweeps_dir() / f"{name}.yaml"
    try:
        tree = read_yaml(file, LARGEST)
    except FileNotFoundError:
        known = ", ".join(sorted(path.stem for path in sweeps_dir().glob("*.yaml")))
        raise UserError(
            f"study={name}: no such study; choose one of {known}, or give a path that ends in .yaml"
        ) from None
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error))[:200]
        raise UserError(f"{file} is not YAML that can be read: {reason}") from None
    try:
        return _study(file, tree if isinstance(tree, dict) else {}, overrides, trials)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def _study(file: Path, tree: dict, overrides: list[str], trials: int | None) -> Study:
    if unknown := sorted(set(tree) - set(KEYS)):
        raise UserError(f"{unknown[0]} is no key of a study; these are {', '.join(KEYS)}")
    given = {key: value for key, value in tree.items() if value is not None}
    space = read_space(given.get("space"))
    own = _lines(given, "overrides", "[experiment=cpu, steps=500]") or ()
    scoring = _lines(given, "evaluate", "[split=test]")
    for one in [*space, *own]:
        if one.partition("=")[0].strip() in OWN:
            raise UserError(f"{one}: {', '.join(OWN)} are not a study's to set; give data= and runs= to slts sweep")
    for one in scoring or ():
        if one.partition("=")[0].strip() in SCORED:
            raise UserError(
                f"evaluate: {one}: a trial's run is scored on its own corpus; leave {' and '.join(SCORED)} out"
            )
    sampler, pruner = _choice(given, "sampler", SAMPLERS, "tpe"), _choice(given, "pruner", PRUNERS, "none")
    objectives = given.get("objectives", {OBJECTIVE: "maximize"})
    if not isinstance(objectives, dict) or not objectives or not set(map(str, objectives.values())) <= set(DIRECTIONS):
        raise UserError("objectives must be like {val/a_stoi: maximize, val/offset_mae_ms: minimize}")
    if len(objectives) > 1 and pruner != "none":
        raise UserError(f"pruner: {pruner} needs a single objective (Optuna prunes no other); use pruner: none")
    trials = trials or given.get("trials")
    hours = given.get("hours")
    if trials is not None and (not isinstance(trials, int) or trials < 1):
        raise UserError(f"trials: {trials} must be a whole number above 0")
    if hours is not None and (not isinstance(hours, (int, float)) or hours <= 0):
        raise UserError(f"hours: {hours} must be a number above 0")
    if sampler == "grid":
        points = len(grid(space))
        trials = min(trials or points, points)
    if trials is None and hours is None:
        raise UserError("has no budget; add trials: N, or hours: H of training over all trials")
    lines = (*own, *overrides)
    return Study(file, space, lines, sampler, pruner, tuple(objectives.items()), trials, hours, scoring)


def _lines(given: dict, key: str, example: str) -> tuple[str, ...] | None:
    lines = given.get(key)
    if lines is not None and (not isinstance(lines, list) or not all(isinstance(one, str) for one in lines)):
        raise UserError(f"{key} must be a list such as {example}")
    return lines if lines is None else tuple(lines)


def _choice(given: dict, key: str, choices: tuple[str, ...], default: str) -> str:
    # YAML reads a bare `none` as text, `null` as nothing.
    value = given.get(key, default)
    if value not in choices:
        raise UserError(f"{key}: {value} must be one of {', '.join(choices)}")
    return value


def check_study(study: Study, common: list[str]) -> tuple[DictConfig, dict]:
    """Whether ``slts train`` takes every key and the ends of every range.

    ``common`` are the overrides that all trials get from the worker. Returns the config of the first point, and what
    a worker must have in common with the study's others.

    Raises:
        UserError: unknown key, value out of bounds, combination that cannot work, shards that are not there, or an
            objective that no validation of the task reports.
    """
    first, corpora = {key: ends(given)[0] for key, given in study.space.items()}, {}
    # Without the space first: what is wrong there is no fault of the space. But an experiment may name the data.
    named = [override(key, value) for key, value in first.items() if key == "experiment"]
    base, _ = compose("train", [*study.overrides, *named, *common])
    for key, given in study.space.items():
        for value in ends(given):
            try:
                config, _ = compose("train", [*study.point(first | {key: value}), *common])
                check_task(config)
            except UserError as error:
                raise UserError(f"{study.file}: space: {error}") from None
            corpora[config.data] = corpora.get(config.data) or corpus_of(config)["hash"]
    config, _ = compose("train", [*study.point(first), *common])
    if study.evaluate is not None:
        try:
            compose("evaluate", [*study.evaluate, "run=trial"])
        except UserError as error:
            raise UserError(f"{study.file}: evaluate: {error}") from None
    reported = [name for word in given_by(config) for name in validated(word)]
    reported.sort(key=lambda name: name != OBJECTIVE)
    for metric in study.metrics:
        if metric not in reported:
            raise UserError(f"{study.file}: objectives: nobody reports {metric}; choose among {', '.join(reported)}")
    definition = {
        "space": {key: distribution_to_json(given) for key, given in study.space.items()},
        "objectives": dict(study.objectives),
        "the overrides": config_hash(base),
        "the corpus": " ".join(corpora.values()),
    }
    return config, definition


def open_study(storage: BaseStorage, name: str, study: Study, config: DictConfig, definition: dict) -> optuna.Study:
    """Makes Optuna's study, or joins it. Raises UserError if the study of this name is another."""
    opened = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=[direction for _, direction in study.objectives],
        sampler=study.make_sampler(),
        pruner=study.make_pruner(config),
        load_if_exists=True,
    )
    # In this order: who made the study writes its definition before its first trial.
    begun = bool(opened.trials)
    known = opened.user_attrs.get(DEFINITION)
    if known is None and not begun:
        opened.set_user_attr(DEFINITION, definition)
        opened.set_metric_names(study.metrics)
        known = opened.user_attrs[DEFINITION]
    if changed := [part for part in definition if (known or {}).get(part) != definition[part]]:
        raise UserError(
            f"the storage holds a study '{name}' that differs in {', '.join(changed)}; give name=ANOTHER for a new"
            " study, or the same file, overrides= and data= to go on with that one"
        )
    return opened
