"""Weights from files of others: what is loaded is loaded exactly, and everything else is refused in one line."""

import os
import pickle
import zipfile

import pytest
import torch

from slts.errors import UserError
from slts.systems.lipsync_expert.network import LipSyncExpert
from slts.systems.published_weights import load_published
from slts.systems.wav2lip.generator import Generator
from slts.systems.wav2lip.quality import QualityDiscriminator


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(3)
    return Generator().eval()


def refused(file, network=None) -> str:
    with pytest.raises(UserError) as caught:
        load_published(network or LipSyncExpert(48, 1, 0.125), str(file), "task.expert")
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_published_checkpoint_is_read(tmp_path, prefix, legacy):
    torch.manual_seed(0)
    source, target = LipSyncExpert(48, 1, 0.125), LipSyncExpert(48, 1, 0.125)
    state = {prefix + name: value for name, value in source.state_dict().items()}
    whole = {"state_dict": state, "optimizer": {"state": {0: {"step": 3}}}, "global_step": 7, "global_epoch": 1}
    torch.save(whole, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    load_published(target, str(tmp_path / "w.pth"), "task.expert")
    for name, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[name])


def test_only_one_leading_module_is_taken_off(tmp_path):
    network = LipSyncExpert(48, 1, 0.125)
    torch.save({f"module.module.{name}": value for name, value in network.state_dict().items()}, tmp_path / "w.pth")
    assert "is missing" in refused(tmp_path / "w.pth")


def test_a_torchscript_archive_is_read_without_running_it(tmp_path, generator):
    traced = torch.jit.script(generator.output_block[0].conv_block)
    torch.jit.save(traced, tmp_path / "small.pt")
    same = torch.nn.Sequential(torch.nn.Conv2d(80, 32, 3, padding=1), torch.nn.BatchNorm2d(32))
    load_published(same, str(tmp_path / "small.pt"), "run")
    for name, value in traced.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])


def test_the_whole_generator_comes_out_of_a_trace(tmp_path, generator):
    pictures, mel = torch.rand(1, 3, 96, 96), torch.randn(1, 80, 16)
    torch.jit.save(torch.jit.trace(generator, (pictures, pictures, mel)), tmp_path / "Wav2Lip.pt")
    other = Generator().eval()
    load_published(other, str(tmp_path / "Wav2Lip.pt"), "run")
    with torch.no_grad():
        assert torch.equal(generator(pictures, pictures, mel), other(pictures, pictures, mel))


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_nothing_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Bomb()}, "w.pth")
    refused("w.pth")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), "t.pt")
    with zipfile.ZipFile("t.pt") as whole, zipfile.ZipFile("bomb.pt", "w") as bomb:
        for entry in whole.namelist():
            bomb.writestr(entry, pickle.dumps(Bomb()) if entry.endswith("/data.pkl") else whole.read(entry))
    assert "no weights that can be read safely" in refused("bomb.pt")
    assert not (tmp_path / "exploded").exists()


def test_a_wrong_network_is_named(tmp_path, generator):
    torch.save(generator.state_dict(), tmp_path / "w.pth")
    said = refused(tmp_path / "w.pth")
    assert "Wav2Lip's generator, 352 tensors" in said and "weights of Wav2Lip's expert" in said
    torch.save(QualityDiscriminator().state_dict(), tmp_path / "w.pth")
    assert "visual quality discriminator, 28 tensors" in refused(tmp_path / "w.pth", generator)
    torch.save(LipSyncExpert(48, 1, 0.25).state_dict(), tmp_path / "w.pth")
    assert "has shape" in refused(tmp_path / "w.pth")


def test_other_files_are_named(tmp_path):
    page, cut, text = tmp_path / "page.pth", tmp_path / "cut.pth", tmp_path / "t.pth"
    page.write_text("\n<!DOCTYPE html><html>sign in</html>")
    assert "web page" in refused(page)
    torch.save(LipSyncExpert(48, 1, 0.125).state_dict(), tmp_path / "w.pth")
    data = (tmp_path / "w.pth").read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    assert "cut off or damaged at" in refused(cut)
    text.write_text("hello")
    assert "no weights that can be read safely" in refused(text)
    torch.save([torch.ones(1)], text)
    assert "holds a list" in refused(text)
    assert "cannot be read" in refused(tmp_path / "absent.pth")
