"""The search space: what its lines mean, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from slts.config import compose
from slts.errors import UserError
from slts.sweeping.space import ends, grid, override, read_space


def test_every_form():
    space = read_space(
        {
            "a": {"log": [0.1, 10]},
            "b": {"uniform": [-1, 1]},
            "c": {"integer": [5, 15], "step": 5},
            "d": {"choices": [1, "x"]},
        }
    )
    assert space == {
        "a": FloatDistribution(0.1, 10.0, log=True),
        "b": FloatDistribution(-1.0, 1.0),
        "c": IntDistribution(5, 15, step=5),
        "d": CategoricalDistribution([1, "x"]),
    }
    assert [ends(given) for given in space.values()] == [[0.1, 10.0], [-1.0, 1.0], [5, 15], [1, "x"]]


def test_a_grid_is_every_point_once():
    space = read_space({"a": {"integer": [5, 15], "step": 5}, "b": {"choices": [False, None]}})
    assert grid(space) == [{"a": a, "b": b} for a in (5, 10, 15) for b in (False, None)]
    with pytest.raises(UserError, match="sampler: grid needs choices or integer"):
        grid(read_space({"a": {"log": [1, 2]}}))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (None, "space is empty"),
        ({}, "space is empty"),
        ({"a": {"log": [0, 1]}}, "is empty; low must be below high, and above 0 for log"),
        ({"a": {"uniform": [2, 1]}}, "is empty; low must be below high"),
        ({"a": {"choices": [1]}}, "two different choices"),
        ({"a": {"choices": [1, 1]}}, "two different choices"),
        ({"a": {"choices": [[1], [2]]}}, "is none of"),
        ({"a": {"integer": [1, 6], "step": 2}}, "step=2 must divide high - low, 5"),
        ({"a": {"integer": [1.5, 6]}}, "is none of"),
        ({"a": {"log": [1, 6], "step": 2}}, "is none of"),
        ({"a": {"loguniform": [1, 6]}}, "is none of"),
        ({"a": [1, 6]}, "is none of"),
        ({"a": {}}, "is none of"),
    ],
)
def test_refused(space, message):
    with pytest.raises(UserError, match=message):
        read_space(space)


@given(st.one_of(st.text(min_size=1), st.floats(1e-30, 1e30), st.integers(0), st.booleans()))
def test_an_override_is_read_as_it_was(value):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    read = OverridesParser.create().parse_override(override("key", value)).value()
    assert str(read) == str(value) and (isinstance(value, str) or read == value)


def test_a_choice_may_be_a_group():
    config, _ = compose("train", ["data=d", "name=n", override("variant", "no_asm"), override("tracking.group", None)])
    assert config.variant == "no_asm" and config.tracking.group is None
