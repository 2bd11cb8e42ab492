"""Every system of conf/task keeps what contract.py promises in its name."""

import pytest

from slts.config import compose
from slts.schema import options
from slts.systems import build_task, contract, given_by

CORPUS = {"speakers": ["a", "b"], "fps": [25.0], "mel": {"mean": [0.0] * 80, "std": [1.0] * 80}}
EXPERIMENTS = {
    "slts": ["cpu"],
    "vcagan": ["vcagan_cpu"],
    "syncnet": ["syncnet_cpu"],
    "matching": ["matching"],
    "lipsync_expert": ["lipsync_expert_cpu"],
    "wav2lip": ["wav2lip_cpu", "task.expert=e"],
    "av2a": ["av2a_cpu", "task.base=b"],
    "v2a_wavegan": ["wavegan_cpu"],
    "av2a_wavegan": ["av2a_wavegan_cpu", "task.base=b"],
}
PROTOCOLS = {
    contract.SPEECH: contract.GivesSpeech,
    contract.PICTURES: contract.GivesPictures,
    contract.OFFSETS: contract.GivesOffsets,
    contract.SINGLE_FRAMES: contract.GivesSingleFrames,
    contract.MODALITIES: contract.GivesChoiceOfModalities,
}


def members(protocol: type) -> set[str]:
    """Names that a protocol asks for, those of what it builds on among them."""
    names = set()
    for one in protocol.__mro__[: protocol.__mro__.index(contract.System) + 1]:
        names |= set(one.__annotations__) | {name for name in vars(one) if not name.startswith("_")}
    return names


def test_all_words_and_systems_are_looked_at():
    assert set(EXPERIMENTS) == set(options("task"))
    assert "sure_above" in members(contract.GivesOffsets) and "fps" in members(contract.GivesSingleFrames)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_system_has_what_it_says_it_gives(name):
    experiment, *rest = EXPERIMENTS[name]
    config, _ = compose("train", ["data=d", "name=n", f"experiment={experiment}", *rest])
    task = build_task(config, CORPUS)
    assert config.task.name == name and task.gives == given_by(config)
    for word in task.gives:
        assert not {member for member in members(PROTOCOLS[word]) if not hasattr(task, member)}
    assert all(hasattr(task, member) for member in members(contract.System))
