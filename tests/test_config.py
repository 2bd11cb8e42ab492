"""The config schema: types, ranges, inheritance, variants and experiments that name only a difference."""

import re
import subprocess

import pytest
from omegaconf import OmegaConf

from slts.config import Key, compose, quoted
from slts.errors import UserError
from slts.schema import conf_dir, documented_keys
from slts.systems import check_task

GIVEN = ["data=x", "name=y"]


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        (">=1", [1, 7], [0, "a", None, True, 1.5]),
        (">0", [1], [0, -1]),
        ("0..1", [0, 1], [2, -1]),
        ("a|b", ["a", "b"], ["c", 1]),
        ("null or >0", [None, 3], [0, "x"]),
        ("null or text", [None, "x"], ["", 3]),
        ("4 x 1..8", [[1, 2, 8, 1]], [[1, 2], [1, 2, 3, 9], [1, 2, 3, "a"], 4, None]),
        ("folder name", ["run-1", "é=1"], ["", ".", "..", "../a", "/a", "a\\b", "a\nb", 3]),
    ],
)
def test_constraints(constraint, good, bad):
    key = Key(1, "a number", constraint)
    for value in good:
        key.check("k", value)
    for value in bad:
        with pytest.raises(UserError, match="a number"):
            key.check("k", value)


def test_a_key_without_constraint_keeps_the_type_of_its_default():
    Key(0.5, "", None).check("k", 1)
    Key([1], "", None).check("k", [2, 3])
    for default, value in ((True, 1), (0.5, "x"), ("a", 3), ([1], 2), (1, True)):
        with pytest.raises(UserError):
            Key(default, "", None).check("k", value)


def test_every_key_of_every_file_is_documented_where_it_is_defined():
    for file in conf_dir().glob("*.yaml"):
        for name, key in documented_keys(file).items():
            assert key.sentence, f"{file.name}: {name} has no comment"


def test_every_key_of_a_group_is_documented_in_one_of_its_files():
    roots = {name for file in conf_dir().glob("*.yaml") for name in documented_keys(file)}
    for folder in ("corpus", "task", "model", "vocoder", "optim", "tracking"):
        keys = [pair for file in (conf_dir() / folder).glob("*.yaml") for pair in documented_keys(file).items()]
        documented = {name for name, key in keys if key.sentence} | roots
        assert {name for name, _ in keys} <= documented


NEEDED = {"with_quality": ["task=wav2lip"], "fine_tuned_expert": ["task=wav2lip", "task.expert=x"]}
"""Of variants that not every task has."""


def test_every_option_of_every_group_composes():
    verbs = {"corpus": ("prepare", ["out=x"]), "tracks": ("offsets", ["data=x"])}
    for folder in conf_dir().iterdir():
        if folder.is_dir():
            for file in folder.glob("*.yaml"):
                verb, given = verbs.get(folder.name, ("train", GIVEN))
                given = [*given, *NEEDED.get(file.stem, [])]
                compose(verb, [*given, f"{folder.name}={file.stem}"])


def test_a_variant_changes_only_what_it_names():
    plain, _ = compose("train", GIVEN)
    other, _ = compose("train", [*GIVEN, "variant=no_asm"])
    plain.task.dsm, plain.task.loss.ssm, plain.variant = False, 0.0, "no_asm"
    assert OmegaConf.to_container(other) == OmegaConf.to_container(plain)


def test_the_command_line_wins_over_variant_and_experiment():
    config, _ = compose("train", [*GIVEN, "experiment=quickstart", "variant=anchored", "steps=9", "task.radius=3"])
    assert (config.steps, config.task.radius, config.task.soft_source, config.model.name) == (9, 3, "probe", "small")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("stesp=3", "did you mean steps"),
        ("task.radius=0", "task.radius=0: must be 1..1000"),
        ("steps=2.5", "whole number"),
        ("variant=nosuch", "choose one of anchored"),
        ("+extra=1", "neither added"),
        ("steps", "not of the form key=value"),
        ("augment.flip=2", "must be 0..1"),
        ("data=pipe:cat {name}", r"data: Hydra .* type data='\"pipe:cat {name}\"'"),
        ("runs=a,b", "runs: Hydra .* type runs='\"a,b\"'"),
        ("experiment=../../x/exp", "no such experiment"),
        ("experiment='/tmp/x/exp'", "no such experiment"),
        ("experiment=[cpu,../../x]", "no such experiment"),
        ("experiment=null", "no such experiment"),
        ("variant=[paper,no_asm]", "no such variant"),
        ("corpus_command=${oc.env:HOME}", "a reference in Hydra, and no value may hold one"),
        ("name=123", """must be a folder name .* type name='"123"'"""),
        ("experiment@model=cpu", "not of the form"),
        ("/experiment=cpu", "no key"),
        ("hydra.searchpath=[/tmp/x]", "not of the form"),
        (" +extra=1", "neither added"),
    ],
)
def test_a_bad_override_is_refused_with_the_way_out(override, words):
    with pytest.raises(UserError, match=words):
        compose("train", [*GIVEN, override])


def test_a_seed_beyond_what_the_generators_take_is_refused():
    with pytest.raises(UserError, match=r"seed=4294967296: must be 0\.\.4000000000"):
        compose("train", ["data=x", "name=y", "seed=4294967296"])
    assert compose("train", ["data=x", "name=y", "seed=4000000000"])[0].seed == 4000000000


NAMES = [
    "a=b",
    "a,b",
    "é",
    "日本",
    "a[b]",
    "[a]",
    "a{b}",
    "{a: b}",
    "it's",
    'say "x"',
    "x (1)",
    "a;b",
    "#1",
    "~a",
    "1e3",
]
NAMES += ["null", "true", "a&b", "a'b\"c=d,e"]


@pytest.mark.parametrize("name", NAMES)
def test_the_form_that_is_shown_for_a_name_works_when_it_is_pasted_into_a_shell(name):
    with pytest.raises(UserError) as refused:
        compose("train", ["data=x", f"name={name}"])
    form = str(refused.value).partition(" type ")[2].partition(", or for a list")[0]
    pasted = subprocess.run(["bash", "-c", f"printf %s {form}"], capture_output=True, text=True, check=True).stdout
    assert compose("train", ["data=x", pasted])[0].name == name


@pytest.mark.parametrize("text", ["x\\", 'x\\"', "é\nb", " a ", ""])
def test_quoted_text_is_read_as_it_is(text):
    assert compose("train", [f"data={quoted('/' + text)}", "name=y"])[0].data == f"/{text}"


def test_a_list_is_shown_with_each_item_quoted():
    with pytest.raises(UserError, match="or for a list overrides=") as refused:
        compose("sweep", ["study=x", "data=y", "overrides=[steps=5,seed=1]"])
    form = str(refused.value).partition("or for a list ")[2]
    pasted = subprocess.run(["bash", "-c", f"printf %s {form}"], capture_output=True, text=True, check=True).stdout
    assert list(compose("sweep", ["study=x", "data=y", pasted])[0].overrides) == ["steps=5", "seed=1"]


def test_a_value_with_a_secret_is_not_repeated():
    with pytest.raises(UserError, match="type data=") as refused:
        compose("train", ["name=y", "data=pipe:curl -u 'me:hunter2' https://host/{name}"])
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("verb", "overrides", "words"),
    [
        ("train", [*GIVEN, "task=slts", "task.tau=3"], "did you mean task.temperature"),
        ("prepare", ["out=x", "corpus=grid", "root=x", "speakers=1"], "speakers=1: must be null or list of text"),
        ("train", [*GIVEN, "model.frame_blocks=[a,b,c,d]"], "model.frame_blocks"),
        ("train", [*GIVEN, "optim.betas=[0.9,2]"], "optim.betas=.*must be 2 x 0..1"),
        ("train", [*GIVEN, "optim.drops=[0]"], "must be list of >=1"),
        ("train", [*GIVEN, "experiment=cpu", "task=vcagan"], "experiment=cpu sets task.radius, which task=vcagan does"),
        ("train", [*GIVEN, "task=syncnet", "variant=no_asm"], "variant=no_asm sets task.dsm.*take variant=paper"),
    ],
)
def test_what_nobody_reads_and_what_is_no_list_is_refused(verb, overrides, words):
    with pytest.raises(UserError, match=words):
        compose(verb, overrides)


@pytest.mark.parametrize(
    ("rule", "allowed", "refused"),
    [
        ("<5", [4.9, -1], [5, "4", True]),
        ("<=5", [5], [5.1]),
        (">=1", [1], [0.5]),
        ("list of <3", [[1, 2], []], [[3], 1, ["a"]]),
        ("2 x 0..1", [[0, 1]], [[0], [0, 2], None]),
        ("null or list of text", [None, ["a"]], [[1], "a"]),
    ],
)
def test_rules(rule, allowed, refused):
    key = Key(None, "a sentence", rule)
    for value in allowed:
        key.check("key", value)
    for value in refused:
        with pytest.raises(UserError, match="a sentence"):
            key.check("key", value)


@pytest.mark.parametrize(
    ("task", "foreign"), [("vcagan", "experiment=cpu"), ("syncnet", "experiment=cpu"), ("matching", "variant=no_asm")]
)
def test_what_is_advised_instead_of_a_foreign_option_is_taken(task, foreign):
    group = foreign.partition("=")[0]
    with pytest.raises(UserError, match=f"{foreign} sets .*, which .* does not have; ") as refused:
        compose("train", ["data=x", "name=x", f"task={task}", foreign])
    advice = re.search(rf"; take {group}=(\S+), or", str(refused.value))
    for option in advice[1].split("|"):
        config, _ = compose("train", ["data=x", "name=x", f"task={task}", f"{group}={option}"])
        assert config.task.name == task
        if group == "experiment":
            check_task(config)
