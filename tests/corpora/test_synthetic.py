import builtins
import hashlib
import multiprocessing
import re
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from scipy.ndimage import gaussian_filter1d

from slts.corpora import grid_grammar, load_corpus, synthetic
from slts.corpora.synthetic import speech, visemes
from slts.corpora.synthetic.speakers import SPEAKERS
from slts.data.clip import Clip, Reject
from slts.data.contact_sheet import contact_sheet
from slts.errors import UserError
from slts.metrics.mouth_opening import mouth_opening

pytest.importorskip("espeakng_loader")
CONFIG = Path(__file__).parents[2] / "conf" / "corpus" / "synthetic.yaml"


def config(**changed):
    return SimpleNamespace(**{**OmegaConf.to_container(OmegaConf.load(CONFIG)), "seed": 7, **changed})


def corpus(**changed):
    return load_corpus("synthetic", config(**changed))[0]


def digest(utterance) -> str:
    clip = utterance.load()
    facts = repr((clip.offset_ms, clip.words, clip.extra)).encode()
    return hashlib.sha256(clip.frames.tobytes() + clip.audio.tobytes() + facts).hexdigest()


@pytest.fixture(scope="module")
def still():
    """Clips with nothing moving but the mouth, no noise and no offset."""
    plain = {"noise": 0.0, "head_motion": 0.0, "crop_jitter": 0.0, "light": 0.0, "profile": "none"}
    return [utterance.load() for utterance in corpus(**plain)[:24]]


def test_the_mouth_of_a_face_opens_when_the_sounds_open_it():
    """At the instants that the offset says: the right shift of a picture fits best."""
    for utterance in corpus(view="face", size=112)[:4]:
        clip = utterance.load()
        assert clip.frames.shape == (64, 112, 112, 3)
        states, _ = visemes.articulate(clip.extra["phones"], np.arange(64) / 25 - clip.offset_ms / 1000, 1.0)
        lips = states[:, visemes.ARTICULATORS.index("lips")].clip(0)
        opened = mouth_opening(torch.from_numpy(clip.frames).permute(0, 3, 1, 2)).numpy()
        agreement = [np.corrcoef(lips, np.roll(opened, shift))[0, 1] for shift in range(-3, 4)]
        assert max(agreement) == agreement[3] > 0.6


def test_clip_is_what_it_says():
    utterance = corpus(profile="chess")[0]
    clip = utterance.load()
    assert isinstance(clip, Clip)
    assert clip.frames.shape == (64, 72, 72, 3) and clip.frames.dtype == np.uint8
    assert clip.audio.shape == (64 * 640,) and clip.audio.dtype == np.float32
    assert 0.3 < np.abs(clip.audio).max() <= 1
    assert clip.fps == 25 and -250 <= clip.offset_ms <= -200
    assert " ".join(word for *_, word in clip.words) == utterance.text
    assert re.fullmatch(r"[A-Za-z0-9_-]+", utterance.key)
    times = [time for start, end, _ in clip.words for time in (start, end)]
    assert times == sorted(times) and times[0] > 0 and times[-1] < 2.56
    assert clip.extra["phones"][0][0] < clip.extra["phones"][-1][1] < 2.56


def test_the_default_corpus_has_1200_clips():
    assert len(corpus()) == 1200


def test_same_clips_in_any_process_and_order():
    utterances = corpus(clips=40)[:3]
    here = [digest(utterance) for utterance in reversed(utterances)][::-1]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(digest, utterances)) == here
    # A longer corpus with the same seed begins with the same clips; another seed does not.
    assert [digest(utterance) for utterance in corpus(clips=400)[:3]] == here
    assert digest(corpus(clips=40, seed=8)[0]) != here[0]


def test_speaks_beside_busy_torch_threads():
    stop, busy = threading.Event(), torch.randn(200, 200)

    def work():
        while not stop.is_set():
            busy @ busy

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            assert len(speech.speak("bin blue at f two now", SPEAKERS[0].voice, 160, 50).words) == 6
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_splits_share_speakers_but_no_sentence():
    utterances = corpus(clips=60, speakers=5)
    splits = {s: [u for u in utterances if u.split == s] for s in ("train", "val", "test")}
    assert [len(items) for items in splits.values()] == [48, 6, 6]
    assert [u.split for u in utterances] == ["train"] * 48 + ["val"] * 6 + ["test"] * 6
    assert all(len({u.speaker for u in items}) == 5 for items in splits.values())
    assert len({u.text for u in utterances}) == len({u.key for u in utterances}) == 60
    assert len(corpus(clips=3, speakers=3, val=0, test=0)) == 3


@pytest.mark.parametrize("frames", [-5, 1, 4])
def test_offset_of_whole_frames_shifts_the_pictures(frames):
    spec = corpus(profile="none")[1].load.args[0]
    phones = [tuple(phone) for phone in synthetic.render(spec).extra["phones"]]
    synced, moved = synthetic.scene(spec, phones, 0), synthetic.scene(spec, phones, 40 * frames)
    # A positive offset is late video: frame i + frames shows what frame i showed.
    late, early = (moved, synced) if frames > 0 else (synced, moved)
    np.testing.assert_allclose(late[abs(frames) :], early[: -abs(frames)], atol=0.05)
    assert np.abs(synced - moved).max() > 20
    # Offsets between frames are rendered, not rounded.
    assert np.abs(synthetic.scene(spec, phones, 40 * frames + 7) - moved).max() > 5


def test_render_applies_the_offset_it_reports():
    spec = replace(corpus(profile="lagged")[2].load.args[0], noise=0.0)
    clip, synced = synthetic.render(spec), synthetic.render(replace(spec, profile="none"))
    assert clip.offset_ms != 0
    np.testing.assert_array_equal(clip.audio, synced.audio)
    expected = synthetic.scene(spec, synced.extra["phones"], clip.offset_ms)
    np.testing.assert_allclose(clip.frames, np.clip(expected, 0, 255), atol=1.0)


def test_leads_vary_and_say_nothing_of_the_offset():
    specs = [utterance.load.args[0] for utterance in corpus(clips=100)]
    offsets = [synthetic.draw_offset_ms("lagged", spec.rng(synthetic._OFFSET)) for spec in specs]
    leads = [synthetic.sound(spec)[3] for spec in specs]
    assert np.std(leads) > 0.2 and np.ptp(leads) > 0.7
    assert abs(np.corrcoef(leads, offsets)[0, 1]) < 0.2


def test_mouth_opens_with_the_sound(still):
    """Dark area between the lips against the loudness: the correlation peaks within 20 ms of zero lag."""
    lags = np.arange(-0.2, 0.2, 0.004)
    times = np.arange(0.3, 2.26, 0.005)
    curves = []
    for clip in still:
        brightest = clip.frames[:, 24:56, 14:58].max(-1)
        dark = (brightest < 0.42 * np.median(brightest)).mean((1, 2))
        opening = np.interp(times, np.arange(len(dark)) / 25, dark)
        loudness = gaussian_filter1d(np.abs(clip.audio), 240)
        heard = [np.interp(times - lag, np.arange(len(loudness)) / 16000, loudness) for lag in lags]
        curves.append([np.corrcoef(opening, h)[0, 1] for h in heard])
    curve = np.mean(curves, 0)
    assert curve.max() > 0.4
    assert abs(lags[curve.argmax()]) <= 0.02


def test_lips_meet_in_bilabials_and_open_in_vowels(still):
    shut, wide = [], []
    for clip in still[:20]:
        for start, end, phone in clip.extra["phones"]:
            state = visemes.articulate(clip.extra["phones"], np.array([(start + end) / 2]))[0][0]
            lips = state[visemes.ARTICULATORS.index("lips")]
            if phone in "pbm":
                shut.append(lips)
            elif phone in ("aI", "aU", "eI"):
                wide.append(lips)
    assert max(shut) < 0.06 < 0.4 < min(wide)


def test_coarticulation_blends():
    phones = [(0.1, 0.2, "b"), (0.2, 0.35, "u:"), (0.35, 0.45, "s"), (0.45, 0.6, "i:")]
    times = np.linspace(0, 0.7, 700)
    steps = [np.abs(np.diff(visemes.articulate(phones, times, c)[0], axis=0)).max() for c in (0.0, 0.5, 1.0, 2.0)]
    assert steps == sorted(steps, reverse=True)
    state, resting = visemes.articulate(phones, np.array([-5.0, 0.3, 9.0]))
    np.testing.assert_allclose(state[[0, 2]], [visemes.REST] * 2, atol=1e-3)
    np.testing.assert_allclose(resting, [1, 0, 1], atol=0.05)


def test_every_voice_differs_fits_and_is_mapped():
    """Each voice says every word of the grammar with known phones; the slowest sentence fits a clip."""
    numbers = np.linspace(0, grid_grammar.SENTENCES - 1, 26).astype(int)
    stems = ["".join(list(s)[(n + i) % len(s)] for i, s in enumerate(grid_grammar.SLOTS)) for n in range(25)]
    stems += [grid_grammar.stem(int(n)) for n in numbers[:3]]
    spectra = []
    for speaker in SPEAKERS:
        said = [speech.speak(grid_grammar.sentence(stem), speaker.voice, speaker.rate, speaker.pitch) for stem in stems]
        for one in said:
            visemes.articulate(one.phones, np.zeros(1))
            starts = [start for start, *_ in one.phones]
            assert starts == sorted(starts)
        assert max(len(one.audio) for one in said) / 16000 / 0.95 < 2.4
        spectra.append(np.log(np.abs(np.fft.rfft(said[0].audio, 1 << 16)[:8000]) + 1).reshape(80, 100).mean(1))
    for i, one in enumerate(spectra):
        assert all(np.abs(one - other).mean() > 0.1 for other in spectra[:i])


def test_phones_are_where_they_are_heard():
    """Sibilants are where the treble is: the times hold within 10 ms."""
    lags = np.arange(-0.05, 0.051, 0.005)
    power = np.zeros(len(lags))
    for stem in ("sgis6s", "sbbx6s", "sras7s", "swws6n"):
        for speaker in SPEAKERS[:4]:
            said = speech.speak(grid_grammar.sentence(stem), speaker.voice, speaker.rate, speaker.pitch)
            treble = gaussian_filter1d(np.log(gaussian_filter1d(np.diff(said.audio, 3) ** 2, 50) + 1e-7), 30)
            times = np.arange(len(treble)) / 16000
            for i, lag in enumerate(lags):
                inside = sum(((times >= a + lag) & (times < b + lag)) for a, b, p in said.phones if p == "s")
                power[i] += np.corrcoef(inside, treble)[0, 1]
    assert abs(lags[power.argmax()]) <= 0.01


def test_speakers_look_different_and_knobs_do_what_they_say():
    utterances = corpus(speakers=4)
    means = [utterance.load().frames.mean((0, 1, 2)) for utterance in utterances[:4]]
    assert min(np.abs(a - b).max() for i, a in enumerate(means) for b in means[:i]) > 10
    spec = replace(utterances[0].load.args[0], noise=0.0, head_motion=0.0, light=0.0)
    clean = synthetic.render(spec).frames.astype(float)
    noisy = synthetic.render(replace(spec, noise=8.0)).frames.astype(float)
    middle = (clean > 40) & (clean < 215)
    assert 7 < (noisy - clean)[middle].std() < 9
    nose = (slice(None), slice(0, 20), slice(20, 52))
    assert np.ptp(clean[nose], axis=0).max() <= 1
    assert np.ptp(synthetic.render(replace(spec, head_motion=1.0)).frames[nose].astype(float), axis=0).max() > 20
    moved = synthetic.render(replace(spec, crop_jitter=0.0)).frames.astype(float)
    assert np.abs(moved[nose] - clean[nose]).max() > 10


def test_contact_sheet_has_a_row_for_each_clip(still):
    sheet = contact_sheet([clip.frames for clip in still[:3]], columns=8)
    assert sheet.shape == (3 * 72, 8 * 72, 3) and sheet.dtype == np.uint8
    np.testing.assert_array_equal(sheet[72:144, -72:], still[1].frames[-1])


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"profile": "late"}, "profile=late.*none, jitter, lagged, chess"),
        ({"speakers": 0}, "speakers=0.*1 to 6"),
        ({"speakers": 99}, "speakers=99"),
        ({"clips": 0}, "clips=0"),
        ({"clips": 70000}, "clips=70000"),
        ({"clips": 11}, "clips=11.*at least 12"),
        ({"val": 0.6, "test": 0.5}, "val=0.6 test=0.5"),
    ],
)
def test_mistakes_are_named(changed, words):
    with pytest.raises(UserError, match=words):
        corpus(**changed)


def test_missing_espeak_is_named(monkeypatch):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "espeakng_loader":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    speech._library.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=re.escape("pip install 'slts[synth]'")):
        corpus()


def test_any_text_is_spoken():
    short, whole = (speech.spoken(text, SPEAKERS[0].voice, 160, 50) for text in ("Well", "Well, 1984 wasn't it!"))
    assert whole.dtype == np.float32 and 0.1 < np.abs(whole).max() <= 1
    assert len(whole) > 2 * len(short) > 2 * 3000
    said = speech.speak("bin blue at f two now", SPEAKERS[0].voice, 160, 50)
    assert len(said.audio) == pytest.approx(16000 * said.phones[-1][1], abs=2)


def test_what_cannot_be_spoken_is_rejected():
    with pytest.raises(Reject, match="synthesis"):
        speech.speak("bin blue", "no/such-voice", 160, 50)
    spec = replace(corpus()[0].load.args[0], frames=20)
    with pytest.raises(Reject, match="too_long"):
        synthetic.render(spec)
