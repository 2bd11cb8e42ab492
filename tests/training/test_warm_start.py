"""Training that begins with the weights of another run."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from slts.errors import UserError
from slts.training.checkpoint import warm_start


def network(**widths: int) -> nn.Module:
    return nn.ModuleDict(
        {name: nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width)) for name, width in widths.items()}
    )


@pytest.fixture
def run(tmp_path):
    """A run whose networks are a and gone, every weight 7."""
    (tmp_path / "best").mkdir()
    weights = {name: torch.full_like(value, 7) for name, value in network(a=3, gone=3).state_dict().items()}
    save_file(weights, tmp_path / "best" / "model.safetensors")
    return tmp_path


def test_what_the_run_has_is_taken_and_the_rest_is_as_it_was(run):
    model = network(a=3, new=4)
    before = {name: value.clone() for name, value in model["new"].state_dict().items()}
    assert warm_start(run, model) == ["new"]
    assert all((value == 7).all() for value in model["a"].state_dict().values())
    torch.testing.assert_close(dict(model["new"].state_dict()), before)


def test_another_network_of_the_same_name_is_refused(run):
    with pytest.raises(UserError, match=r"its a is another \(a\.0\.weight differs\); give the same model="):
        warm_start(run, network(a=5))
    model = network(a=3)
    model["a"].append(nn.Linear(3, 3))
    with pytest.raises(UserError, match=r"its a is another \(a\.2\.weight differs\)"):
        warm_start(run, model)


def test_a_critic_may_be_new_in_a_network_that_is_not(run):
    model = network(a=3)
    model["a"].add_module("critic", nn.Linear(3, 1))
    assert warm_start(run, model) == ["a.critic"]
    assert (model["a"][0].weight == 7).all() and not (model["a"].critic.weight == 7).any()


def test_no_run(tmp_path):
    with pytest.raises(UserError, match="holds no checkpoint"):
        warm_start(tmp_path, network(a=3))
