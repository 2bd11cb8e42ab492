"""What runs left becomes opaque clips of one loudness, or a line that says why not."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from heard_runs import LOUD, SOFT, SYSTEMS, make_test, noise, write_drawn_runs, write_runs

from slts.cli import run
from slts.data.media import read_clip
from slts.errors import UserError
from slts.listening.attention import NUMBERS, instruction
from slts.listening.level import PEAK, TARGET, active_level, common_level, levelled
from slts.listening.plan import load_plan
from slts.listening.webmushra import write_webmushra
from slts.recognition.grammar import Grammar
from slts.recognition.pocketsphinx import pocketsphinx_transcriber


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return write_runs(tmp_path_factory.mktemp("runs"))


def test_the_active_level_is_that_of_speech_and_not_of_pauses():
    tone = 0.1 * np.sin(2 * np.pi * 200 * np.arange(16000) / 16000)
    assert active_level(tone) == pytest.approx(20 * np.log10(0.1 / np.sqrt(2)), abs=0.01)
    paused = np.concatenate([np.zeros(16000), tone, 0.001 * np.ones(16000)])
    assert active_level(paused) == pytest.approx(active_level(tone), abs=0.01)
    assert active_level(np.zeros(9)) == -np.inf


def test_one_sound_with_a_high_peak_makes_all_softer_and_none_is_cut():
    flat, peaked = noise(0, 1, 0.1), noise(1, 1, 0.01)
    peaked[8000] = 0.9
    assert common_level([flat]) == TARGET
    level = common_level([flat, peaked, np.zeros(100)])
    assert level < TARGET - 3
    made = [levelled(one, level) for one in (flat, peaked)]
    assert max(np.abs(one).max() for one in made) <= PEAK + 1e-6
    assert [active_level(one) for one in made] == pytest.approx([level, level], abs=0.1)
    assert made[0][0] == pytest.approx(0, abs=0.01) and np.abs(made[0][:4]).max() < np.abs(made[0][400:500]).max() / 5


def test_a_test_holds_every_version_at_one_level_under_names_that_tell_nothing(runs, tmp_path):
    plan = make_test(tmp_path / "test", runs, "clips=4", "training=2", "raters=4", "check_every=6")
    rated = {(clip.key, clip.system): clip.file for clip in plan.clips if clip.key}
    keys, systems = {key for key, _ in rated}, ("real", *SYSTEMS)
    assert len(rated) == 4 * 3 + 2 and {system for _, system in rated} == set(systems) and len(keys) == 6
    files = sorted(path.name for path in (tmp_path / "test" / "clips").iterdir())
    assert files == [f"{i:03}.wav" for i in range(len(plan.clips))] and len(plan.clips) == len(rated) + 5
    assert sorted(rated.values()) != list(rated.values())
    sounds = {pair: soundfile.read(tmp_path / "test" / "clips" / file)[0] for pair, file in rated.items()}
    levels = [active_level(sound) for sound in sounds.values()]
    assert max(levels) - min(levels) < 0.2 and 20 * np.log10(LOUD / SOFT) == pytest.approx(20)
    for (key, system), sound in sounds.items():
        run = SYSTEMS[0] if system == "real" else system
        name = f"{key}-recorded.wav" if system == "real" else f"{key}.wav"
        source, _ = soundfile.read(Path(runs[SYSTEMS.index(run)], "samples", "test", name))
        assert np.corrcoef(source[200:-200], sound[200:-200])[0, 1] > 0.999
    for rater in plan.raters:
        kinds = [step.kind for step in rater.steps]
        assert kinds[:4] == ["consent", "setup", "training", "training"] and kinds[-1] == "remark"
        assert kinds.count("rating") == 12 and kinds.count("check") == 2
        trained = {plan.clips[step.clips[0]].key for step in rater.steps if step.kind == "training"}
        assert trained.isdisjoint(plan.clips[step.clips[0]].key for step in rater.steps if step.kind == "rating")
    assert len({rater.token for rater in plan.raters}) == 4


def test_videos_are_cut_into_what_was_recorded_and_what_was_drawn(tmp_path):
    runs = write_drawn_runs(tmp_path, "test-random")
    plan = make_test(tmp_path / "test", runs, "split=test-random", "clips=2", "training=1", "raters=1", "check_every=3")
    assert plan.aspects == ("sync", "visual_quality", "overall", "preference")
    bright = {"unsynced": 0, SYSTEMS[0]: 128, SYSTEMS[1]: 255}
    for clip in plan.clips:
        seen = read_clip(tmp_path / "test" / "clips" / clip.file)
        assert seen.frames.shape[1] == seen.frames.shape[2]
        assert seen.frames.mean() == pytest.approx(bright[clip.system] if clip.system else 0, abs=3)
        assert SYSTEMS[0].encode() not in (tmp_path / "test" / "clips" / clip.file).read_bytes()
    choices = [step.clips for step in plan.raters[0].steps if step.kind == "choice"]
    assert len(choices) == 2 and all(len({plan.clips[i].system for i in shown}) == 3 for shown in choices)
    with pytest.raises(UserError, match="webMUSHRA plays sounds"):
        write_webmushra(tmp_path / "test", plan)


def test_folders_of_sounds_are_heard_beside_runs(runs, tmp_path):
    others, recorded = tmp_path / "cockatrice", tmp_path / "recorded"
    for folder in (others, recorded):
        folder.mkdir()
        for clip in range(7):
            soundfile.write(folder / f"walrus-{clip:03}.flac", noise(clip, 0.3, 0.1), 22050)
    plan = make_test(tmp_path / "a", [*runs, str(others)], "clips=2", "raters=1")
    assert {clip.system for clip in plan.clips} == {"real", *SYSTEMS, "cockatrice", None}
    plan = make_test(tmp_path / "b", [str(others)], f"reference={recorded}", "clips=2", "raters=1")
    assert {clip.system for clip in plan.clips} == {"real", "cockatrice", None}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_voice_says_the_number(number):
    words = ("one", "two", "three", "four", "five")
    sentence = Grammar((("please",), ("answer",), words, ("to",), ("every",), ("question",)))
    heard = pocketsphinx_transcriber(sentence)(instruction(number))
    assert heard.startswith(f"please answer {words[number - 1]} to every")


def test_webmushra_gets_the_same_test_without_names(runs, tmp_path):
    plan = make_test(tmp_path / "test", runs, "clips=2", "training=1", "raters=1", "check_every=3")
    file = write_webmushra(tmp_path / "test", plan)
    text = file.read_text()
    assert not [name for name in (*SYSTEMS, "walrus") if name in text]
    config = yaml.safe_load(text)
    kinds = [page if isinstance(page, list) else page["type"] for page in config["pages"]]
    assert kinds[:2] == ["generic", "volume"] and kinds[-1] == "finish" and kinds[-2][0] == "random"
    rated = kinds[-2][1:]
    assert len(rated) == 2 * 3 * 2 + 5 and {page["id"] for page in rated} == {"intelligibility", "naturalness"}
    told = {row["stimulus"]: row for row in csv.DictReader((tmp_path / "test/webmushra/stimuli.csv").open())}
    for page in rated:
        ((name, sound),) = page["stimuli"].items()
        assert (tmp_path / "test" / "webmushra" / sound).is_file() and name in told
        assert [point["value"] for point in page["response"]] == [5, 4, 3, 2, 1]
    assert {told[name]["system"] for page in rated for name in page["stimuli"]} == {"real", *SYSTEMS, ""}


def test_what_cannot_be_a_test_is_refused_in_a_line(runs, tmp_path):
    first = runs[0]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    other = write_runs(tmp_path / "other", clips=2)
    shutil.copyfile(f"{other[0]}/samples/test/walrus-001.wav", f"{other[0]}/samples/test/walrus-000-recorded.wav")
    drawn = write_drawn_runs(tmp_path / "drawn", "test")
    (tmp_path / "twin" / SYSTEMS[0]).parent.mkdir()
    shutil.copytree(first, tmp_path / "twin" / SYSTEMS[0])
    broken = write_runs(tmp_path / "broken", clips=2)
    for file in (tmp_path / "broken").rglob("*-00?.wav"):
        file.write_bytes(b"RIFF")
    cases = [
        ([], [], "runs=.* is required"),
        ([first], ["clips=8"], r"clips=8: 7 clips .* slts evaluate run=\.\.\. show=11"),
        ([first], ["split=val"], "holds no sounds .* slts evaluate run=.* split=val"),
        ([first], ["aspects=[sync]"], "sync is of videos"),
        ([first], ["consent=nowhere.txt"], "consent=nowhere.txt: No such file"),
        ([first, str(tmp_path / "twin" / SYSTEMS[0])], [], f"two are called {SYSTEMS[0]}"),
        ([first, str(tmp_path / "full")], [], "no audio file"),
        ([str(tmp_path / "nowhere")], [], "no such folder"),
        ([first, drawn[1]], ["clips=2"], "some left sounds and some videos"),
        (other, ["clips=2"], "different recordings of walrus-000"),
        (broken, ["clips=2"], "unreadable audio file"),
    ]
    for given, keys, said in cases:
        with pytest.raises(UserError, match=said):
            make_test(tmp_path / "test", given, *keys)
    with pytest.raises(UserError, match="holds something that is no listening test"):
        make_test(tmp_path / "full", runs, "clips=2")
    assert (tmp_path / "full" / "thesis.tex").read_text() == "years of work"
    assert not (tmp_path / "test").exists() and not list(tmp_path.glob(".test*"))


def test_a_plan_that_leads_out_of_its_folder_is_no_plan(runs, tmp_path):
    make_test(tmp_path / "test", runs, "clips=2", "raters=2", "training=0")
    file = tmp_path / "test" / "plan.json"
    whole = file.read_text()

    def changed(change) -> str:
        plan = json.loads(whole)
        change(plan)
        return json.dumps(plan)

    texts = [
        "", "[]", "[" * 5000, whole[:-9],
        changed(lambda plan: plan["clips"][0].update(file="../../secret.wav")),
        changed(lambda plan: plan["raters"][0].update(token="a/../b")),
        changed(lambda plan: plan["raters"][0].update(name="../r01")),
        changed(lambda plan: plan["raters"][0].update(token=plan["raters"][1]["token"])),
        changed(lambda plan: plan["raters"][0]["steps"][1].update(clips=[99])),
        changed(lambda plan: plan["raters"][0]["steps"][1].update(clips=[-1])),
        changed(lambda plan: plan["raters"][0]["steps"][1].update(kind="open")),
        changed(lambda plan: plan["raters"][0]["steps"][2].update(clips=[])),
        changed(lambda plan: plan.update(aspects=["smell"])),
        changed(lambda plan: plan.update(test="../../x")),
        changed(lambda plan: plan.pop("clips")),
    ]  # fmt: skip
    for text in texts:
        file.write_text(text)
        with pytest.raises(UserError, match=r"no plan of slts listen .*; take it from a copy") as refused:
            load_plan(tmp_path / "test")
        assert "\n" not in str(refused.value)


def test_the_command_makes_a_test_goes_on_with_it_and_refuses_another(runs, tmp_path, capsys):
    keys = [f"runs=[{','.join(runs)}]", f"out={tmp_path / 'test'}", "clips=3", "serve=false"]
    assert run("listen", keys) == 0 and "0 of 12 raters" in capsys.readouterr().out
    plan = (tmp_path / "test" / "plan.json").read_bytes()
    (tmp_path / "mine.txt").write_text("Hello")
    assert run("listen", keys) == run("listen", [f"out={tmp_path / 'test'}", "serve=false"]) == 0
    capsys.readouterr()
    for other in ("clips=4", "raters=3", f"consent={tmp_path / 'mine.txt'}"):
        assert run("listen", [*keys[:2], "serve=false", other]) == 2
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1 and f"leave {other.partition('=')[0]}= out" in said[0]
    assert (tmp_path / "test" / "plan.json").read_bytes() == plan
