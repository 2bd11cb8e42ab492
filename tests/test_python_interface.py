"""What ``import slts`` offers: light to import, and the README's example as it stands there."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from envelope_talker import envelope_run, talker

from slts.config import compose
from slts.data.faces.people import Thresholds
from slts.offsets import alignment

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("deepspeed", "wandb", "optuna", "transformers", "tensorboard", "whisper")


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch):
    """The clip is drawn, and stands for what the shipped estimator knows: an estimator of drawn talkers."""
    talker(tmp_path / "clip.mp4", 6, lambda s: 0.12, codecs=("libx264", "aac"))
    talker(tmp_path / "silent.mp4", 6, lambda s: 0, silent=True, codecs=("libx264", "aac"))
    rng = np.random.default_rng(0)
    speech = np.convolve(rng.normal(size=48000) * np.abs(np.sin(np.arange(48000) / 1500)), np.ones(4) / 8, "same")
    names = {"reference": speech[1600:], "generated": speech[:-1600]}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(alignment, "load_shipped", envelope_run)
    text = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S))
    test = doctest.DocTestParser().get_doctest(text, names, "README.md", "README.md", 0)
    assert len(test.examples) == 8
    said = []
    assert doctest.DocTestRunner().run(test, out=said.append).failed == 0, "".join(said)


@pytest.mark.parametrize(
    ("statement", "absent", "seconds"),
    [
        ("import slts", ("torch", "numpy", *HEAVY), 1.0),
        ("from slts import offset_of, align, score_pair", HEAVY, None),
    ],
)
def test_importing_loads_no_more_than_it_must(statement, absent, seconds):
    code = f"import sys, time; t = time.process_time(); {statement}; t = time.process_time() - t; " \
        f"print(t, *[m for m in {absent!r} if m in sys.modules])"  # fmt: skip
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    taken, *loaded = told.stdout.split()
    assert not loaded and (seconds is None or float(taken) < seconds)


def test_what_is_not_there_is_no_attribute():
    import slts

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        slts.nothing  # noqa: B018
    assert {"offset_of", "align", "score_pair", "AlignedSTOI"} <= set(dir(slts))


def test_videos_are_looked_at_alike_from_python_and_by_the_command():
    config, _ = compose("offsets", ["data=x"])
    assert Thresholds.of(config.tracks) == alignment.ANY_LENGTH
