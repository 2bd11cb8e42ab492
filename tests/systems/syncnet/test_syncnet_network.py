"""SyncNet against FACTS: shapes, names, parameters, MFCCs, and its evaluation by hand."""

import numpy as np
import pytest
import python_speech_features
import torch

from slts.audio.mfcc import mfcc
from slts.errors import UserError
from slts.systems.syncnet.network import SyncNet, distance_curve, read_curve
from slts.systems.syncnet.task import published

LAYERS = {
    "netcnnlip": {0: (96, 3, 5, 7, 7), 4: (256, 96, 1, 5, 5), 8: (256, 256, 1, 3, 3), 11: (256, 256, 1, 3, 3),
                  14: (256, 256, 1, 3, 3), 18: (512, 256, 1, 6, 6)},
    "netcnnaud": {0: (64, 1, 3, 3), 4: (192, 64, 3, 3), 8: (384, 192, 3, 3), 11: (256, 384, 3, 3),
                  14: (256, 256, 3, 3), 18: (512, 256, 5, 4)},
    "netfclip": {0: (512, 512), 3: (1024, 512)},
    "netfcaud": {0: (512, 512), 3: (1024, 512)},
}  # fmt: skip
"""Part -> number of a layer -> shape of its weight in the published file; each but the last of a part has a batch norm
after it."""


def published_state() -> dict[str, torch.Tensor]:
    """A state dict with the published names and shapes, made without the network."""
    state = {}
    for part, layers in LAYERS.items():
        for number, shape in layers.items():
            state[f"{part}.{number}.weight"] = torch.full(shape, 0.01)
            state[f"{part}.{number}.bias"] = torch.zeros(shape[0])
            if part.startswith("netcnn") or number == 0:
                for name in ("weight", "bias", "running_mean", "running_var"):
                    state[f"{part}.{number + 1}.{name}"] = torch.ones(shape[0])
                state[f"{part}.{number + 1}.num_batches_tracked"] = torch.tensor(7)
    return state


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "syncnet_v2.model"
    torch.save(published_state(), path)
    return path


def test_size_and_embeddings():
    network = SyncNet().eval()
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(13.6, abs=0.05)
    with torch.no_grad():
        assert network.embed_lips(torch.rand(1, 6, 3, 224, 224) * 255).shape == (1, 2, 1024)
        assert network.embed_audio(torch.rand(1, 24, 13)).shape == (1, 2, 1024)


@pytest.mark.parametrize("size", [56, 64, 100, 112])
def test_smaller_pictures_and_layers(size):
    network = SyncNet(size, 1, 0.125)
    assert network.embed_lips(torch.rand(2, 7, 1, size, size)).shape == (2, 3, 128)
    assert network.embed_audio(torch.rand(2, 28, 13)).shape == (2, 3, 128)


def test_windows_of_a_clip_are_those_of_its_pieces():
    network = SyncNet(64, 1, 0.125).eval()
    video, cepstra = torch.rand(1, 9, 1, 64, 64) * 255, torch.rand(1, 36, 13)
    with torch.no_grad():
        lips, audio = network.embed_lips(video), network.embed_audio(cepstra)
        for v in range(5):
            torch.testing.assert_close(lips[:, v], network.embed_lips(video[:, v : v + 5])[:, 0])
            torch.testing.assert_close(audio[:, v], network.embed_audio(cepstra[:, 4 * v : 4 * v + 20])[:, 0])


def test_mfccs_are_those_of_python_speech_features():
    pcm = (np.random.default_rng(0).normal(size=(2, 16123)) * 3000).astype(np.int16)
    pcm[1, 4000:9000] = 0
    ours = mfcc(torch.from_numpy(pcm / 32768.0).float()).numpy()
    for row, samples in zip(ours, pcm, strict=True):
        np.testing.assert_allclose(row, python_speech_features.mfcc(samples, 16000), atol=2e-3)


def test_the_published_names_load(weights):
    task = published(weights)
    network = task.network
    assert set(network.state_dict()) == set(published_state())
    assert float(network.netcnnlip[0].weight.detach().mean()) == pytest.approx(0.01)
    assert not task.training and not network.training


def test_weights_of_old_pytorch_load(tmp_path):
    state = {name: value for name, value in published_state().items() if "num_batches" not in name}
    torch.save(state, tmp_path / "old.model")
    published(tmp_path / "old.model")


@pytest.mark.parametrize("case", ["pickle", "text", "list", "other", "shape", "missing", "absent"])
def test_other_files_get_one_message(case, tmp_path, weights):
    path, state = tmp_path / "w.model", published_state()
    if case == "pickle":
        torch.save(SyncNet(64, 1, 0.125), path)  # a whole module: loading it would run code
    elif case == "text":
        path.write_text("hello")
    elif case == "list":
        torch.save([torch.ones(3)], path)
    elif case == "other":
        torch.save(torch.nn.Linear(3, 4).state_dict(), path)
    elif case == "shape":
        torch.save(state | {"netfcaud.3.weight": torch.ones(512, 512)}, path)
    elif case == "missing":
        torch.save({name: value for name, value in state.items() if name != "netfclip.3.bias"}, path)
    with pytest.raises(UserError, match=r"weights=.*w\.model") as caught:
        published(path)
    assert "\n" not in str(caught.value)


def test_distance_curve_by_hand():
    """Lips show at v what is heard at v - 1: the video lags by one frame."""
    audio = torch.tensor([[3.0, 0.0], [0.0, 4.0], [6.0, 8.0]])
    lips = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    # k = -1: |lips_v - audio_(v+1)| = 4, |(3,0) - (6,8)| = sqrt(73), |(0,4) - 0| = 4
    # k =  0: 3, 5, |(0,4) - (6,8)| = sqrt(52)
    # k = +1: |0 - 0|, 0, 0
    expected = torch.tensor([(8 + 73**0.5) / 3, (8 + 52**0.5) / 3, 0.0])
    curve = distance_curve(lips, audio, 1)
    torch.testing.assert_close(curve, expected, atol=1e-4, rtol=0)
    offset, distance, confidence = read_curve(curve)
    assert (offset, distance) == (1, pytest.approx(0, abs=1e-4))
    assert confidence == pytest.approx((8 + 52**0.5) / 3, abs=1e-3)  # the middle of the three less the smallest


def test_of_equal_distances_the_largest_offset_is_taken():
    assert read_curve(torch.tensor([1.0, 2.0, 3.0, 2.0, 1.0])) == (2, 1.0, 1.0)


@pytest.mark.parametrize("late", [-3, 0, 2])
def test_the_curve_finds_a_shift(late):
    features = torch.randn(60, 16, generator=torch.Generator().manual_seed(0))
    lips, audio = features[10 - late : 50 - late], features[10:50]
    assert read_curve(distance_curve(lips, audio, 15))[0] == late
