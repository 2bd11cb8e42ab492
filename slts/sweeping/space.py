"""The search space of a study: keys of ``slts train`` and the values they may take.

``{log: [low, high]}`` and ``{uniform: [low, high]}`` are numbers, ``{integer: [low, high], step: n}`` whole ones (the
step is 1 if not said), ``{choices: [...]}`` any plain values.
"""

import itertools

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from slts.config import quoted
from slts.errors import UserError

FORMS = "{log: [low, high]}, {uniform: [low, high]}, {integer: [low, high], step: n} or {choices: [...]}"
Value = bool | int | float | str | None


def read_space(space: object) -> dict[str, BaseDistribution]:
    """Distributions by key of ``slts train``. Raises UserError for an empty or misshapen space."""
    if not isinstance(space, dict) or not space:
        raise UserError(f"space is empty; give at least one key of slts train as KEY: {FORMS}")
    return {str(key): _distribution(str(key), given) for key, given in space.items()}


def _distribution(key: str, given: object) -> BaseDistribution:
    wrong = UserError(f"space: {key}: {given} is none of {FORMS}")
    if not isinstance(given, dict):
        raise wrong
    if set(given) == {"choices"}:
        values = given["choices"]
        if not isinstance(values, list) or not all(isinstance(v, Value) for v in values):
            raise wrong
        if len(values) < 2 or len({repr(v) for v in values}) < len(values):
            raise UserError(f"space: {key}: {given} needs two different choices at least; a fixed key is an override")
        return CategoricalDistribution(values)
    kind = next(iter(given), None)
    whole = kind == "integer"
    if kind not in ("log", "uniform", "integer") or set(given) - {kind, "step"} or ("step" in given and not whole):
        raise wrong
    ends, number = given[kind], int if whole else (int, float)
    if not isinstance(ends, list) or len(ends) != 2 or not all(_is(end, number) for end in ends):
        raise wrong
    low, high = ends
    if not low < high or (kind == "log" and low <= 0):
        raise UserError(
            f"space: {key}: {given} is empty; low must be below high" + ", and above 0 for log" * (not whole)
        )
    if whole:
        step = given.get("step", 1)
        if not _is(step, int) or step < 1 or (high - low) % step:
            raise UserError(f"space: {key}: step={step} must divide high - low, {high - low}")
        return IntDistribution(low, high, step=step)
    return FloatDistribution(float(low), float(high), log=kind == "log")


def _is(value: object, kind: type | tuple) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def suggest(trial: Trial, space: dict[str, BaseDistribution]) -> dict[str, Value]:
    """The trial's values by key."""
    values: dict[str, Value] = {}
    for key, given in space.items():
        match given:
            case CategoricalDistribution():
                values[key] = trial.suggest_categorical(key, given.choices)
            case IntDistribution():
                values[key] = trial.suggest_int(key, given.low, given.high, step=given.step)
            case FloatDistribution():
                values[key] = trial.suggest_float(key, given.low, given.high, log=given.log)
    return values


def ends(distribution: BaseDistribution) -> list[Value]:
    """What must be allowed for every value between to be: the choices, or lowest and highest."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    return [distribution.low, distribution.high]


def grid(space: dict[str, BaseDistribution]) -> list[dict[str, Value]]:
    """Every point of a space of choices and whole numbers; the last key varies fastest. Raises UserError for others."""
    axes = []
    for key, given in space.items():
        match given:
            case CategoricalDistribution():
                axes.append(list(given.choices))
            case IntDistribution():
                axes.append(list(range(given.low, given.high + 1, given.step)))
            case _:
                raise UserError(f"space: {key}: sampler: grid needs choices or integer; use them, or sampler: tpe")
    return [dict(zip(space, point, strict=True)) for point in itertools.product(*axes)]


def override(key: str, value: Value) -> str:
    """``key=value`` as Hydra reads it."""
    match value:
        case None:
            return f"{key}=null"
        case bool():
            return f"{key}={str(value).lower()}"
        case str():
            return f"{key}={quoted(value)}"
        case _:
            return f"{key}={value!r}"
