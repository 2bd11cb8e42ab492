"""Opinions that networks predict: equal to the packages', undefined where nothing is heard, one line where absent."""

import csv
import json
import pickle
import sys
import textwrap

import numpy as np
import pytest
import soundfile
import torch
from metric_clips import speech_like

from slts.commands.score import main
from slts.config import compose
from slts.errors import UserError
from slts.metrics import predicted_opinion
from slts.metrics.predicted_opinion import distill, dnsmos
from slts.metrics.scoring import predicted_by, score_pair

NETWORK = """
    import pathlib, torch, torchaudio
    DEFAULT_WEIGHTS_CHKPT = str(pathlib.Path(__file__).with_name("weights.pt"))
    class ConvTransformerSQAModel(torch.nn.Module):
        def __init__(self, load_weights, segmenting_in_forward):
            super().__init__()
            assert not load_weights and not segmenting_in_forward
            self.scale = torch.nn.Parameter(torch.zeros(1))
        def forward(self, windows):
            assert windows.shape[1] == 122880 and len(windows) <= 8
            return 1 + self.scale * windows.abs().amax(1, keepdim=True)
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A package distillmos whose network says 1 + 2 times the largest sample of a window; needs torchaudio to import,
    as the real one does."""
    folder = tmp_path / "packages" / "distillmos"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "sqa.py").write_text(textwrap.dedent(NETWORK))
    torch.save({"model": {"scale": torch.tensor([2.0])}}, folder / "weights.pt")
    monkeypatch.syspath_prepend(str(folder.parent))
    yield folder
    _forget()


@pytest.fixture(autouse=True)
def _fresh():
    _forget()


def _forget() -> None:
    predicted_opinion._distill_network.cache_clear()
    predicted_opinion._dnsmos_networks.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "distillmos"]:
        del sys.modules[name]


def test_dnsmos_is_that_of_the_package():
    """The figures are of speechmos 0.0.1.1 with librosa 0.11 on the same sounds at full scale."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("speechmos")
    assert dnsmos(0.01 * speech_like(1)) == pytest.approx((3.2302, 3.5848, 2.7692, 3.0990), abs=2e-3)
    noise = dnsmos(np.random.RandomState(0).uniform(-1, 1, 1600))
    assert all(1 <= value < 2.5 for value in noise)


def test_distill_hears_windows_from_begin_to_end(stand_in):
    assert distill(speech_like(0)) == 3  # at full scale, whatever the level
    late = np.zeros(122880 + 30 * 16000, np.float32)
    late[-1] = 0.5
    assert distill(late) == pytest.approx(1 + 2 / 31)  # only the last of 31 windows has a sound
    assert "torchaudio" not in sys.modules


def test_weights_that_would_run_code_are_refused(stand_in, tmp_path):
    class Run:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    (stand_in / "weights.pt").write_bytes(pickle.dumps({"model": Run()}, 2))
    with pytest.raises(UserError, match="holds no weights of Distill-MOS"):
        distill(speech_like(0))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("generated", "reason"),
    [(np.zeros(16000), "silent"), (np.full(16000, np.nan), "not finite"), (np.zeros(0), "empty")],
)
def test_what_cannot_be_heard_has_a_reason(stand_in, generated, reason):
    row = score_pair(speech_like(0), generated, ["distill_mos"])
    assert row["distill_mos"] is None and reason in row["reasons"]["distill_mos"]
    assert score_pair(speech_like(0), speech_like(0)[:1600], ["distill_mos"])["distill_mos"] == 3


@pytest.mark.parametrize(
    ("name", "missing", "mend"),
    [
        ("dnsmos", "onnxruntime", r"pip install 'slts\[mos\]'"),
        ("distill", "distillmos", "pip install --no-deps distillmos"),
    ],
)
def test_an_absent_package_is_a_line_with_the_command_that_installs_it(monkeypatch, name, missing, mend):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=mend):
        predicted_by([name])
    with pytest.raises(UserError, match="unknown utmos; choose from dnsmos, distill"):
        predicted_by(["utmos"])


def test_the_command_scores_them_beside_the_rest(stand_in, tmp_path, capsys):
    for side in ("reference", "generated"):
        (tmp_path / side).mkdir()
        soundfile.write(tmp_path / side / "a.wav", speech_like(0), 16000)
        soundfile.write(tmp_path / side / "b.wav", speech_like(1, 1) * (side == "reference"), 16000)
    keys = [f"reference={tmp_path}/reference", f"generated={tmp_path}/generated", f"out={tmp_path}/scores.csv"]
    main(compose("score", [*keys, "metrics=[stoi]", "mos=[distill]", "workers=1"])[0])
    rows = list(csv.DictReader((tmp_path / "scores.csv").open()))
    assert [row["distill_mos"] for row in rows] == ["3.0", ""] and "silent" in rows[1]["reason"]
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["means"]["distill_mos"] == 3 and summary["failures"]["distill_mos"] == 1
