"""Whisper by file, as a tiny network with random weights."""

import dataclasses
import pickle
import urllib.request

import numpy as np
import pytest
import torch
import whisper

from slts.errors import UserError
from slts.recognition.whisper import whisper_transcriber


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    dims = whisper.ModelDimensions(
        n_mels=80, n_audio_ctx=1500, n_audio_state=16, n_audio_head=2, n_audio_layer=1,
        n_vocab=51864, n_text_ctx=448, n_text_state=16, n_text_head=2, n_text_layer=1,
    )  # fmt: skip
    network = whisper.Whisper(dims)
    file = tmp_path_factory.mktemp("whisper") / "tiny-random.pt"
    torch.save({"dims": dataclasses.asdict(dims), "model_state_dict": network.state_dict()}, file)
    return file


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, int(seconds * 16000))


def test_equal_audio_gives_equal_text(checkpoint):
    first, second = (whisper_transcriber(str(checkpoint))(noise(1.5)) for _ in range(2))
    assert isinstance(first, str) and first == second


def test_what_is_no_model_is_refused_in_one_line(checkpoint, tmp_path):
    class Code:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    foreign = {
        "text.pt": b"not a checkpoint",
        "empty.pt": b"",
        "pickle.pt": pickle.dumps(Code()),
        "cut.pt": checkpoint.read_bytes()[:100_000],
    }
    for name, content in foreign.items():
        (tmp_path / name).write_bytes(content)
    torch.save({"dims": {}, "model_state_dict": {}}, tmp_path / "other.pt")
    torch.save({"code": Code()}, tmp_path / "code.pt")
    torch.save([1], tmp_path / "list.pt")
    for name in (*foreign, "other.pt", "code.pt", "list.pt"):
        with pytest.raises(UserError, match=rf"whisper=.*{name}: ") as refused:
            whisper_transcriber(str(tmp_path / name))
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(UserError, match="neither a checkpoint file nor one of tiny"):
        whisper_transcriber("huge")


def test_a_named_model_without_network_says_what_to_do(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise urllib.error.URLError("Network is unreachable")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(UserError, match=r"whisper=medium: not in the cache and cannot be downloaded .*FILE\.pt"):
        whisper_transcriber("medium")
