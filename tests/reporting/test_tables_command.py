"""`slts tables` as a user calls it: every file, a page that needs nothing beside it."""

import base64
import csv
import html
import re
from functools import reduce
from html.parser import HTMLParser

import pytest
from conftest import slts
from run_folders import corpus_json, result, write_clips, write_run

from slts.metrics.columns import COLUMNS
from slts.reporting.figures import offset_histograms, offsets_against_truth, reconstructions, speaker_of
from slts.reporting.headline import headline, standings
from slts.reporting.results import find_corpora, load_results
from slts.reporting.table import MISSING

CORPUS = corpus_json(profile="lagged")
TABLES = ("results", "table1", "table2", "table3", "table4", "table5", "table6", "table7", "offsets")


class Page(HTMLParser):
    """What a page refers to, and whether its tags close in order."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.sources, self.captions = [], {"img": [], "audio": []}, []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        assert tag != "script" and not (values.keys() & {"onclick", "onload"})
        if tag not in ("img", "meta", "link"):
            self.open.append(tag)
        if tag in self.sources:
            self.sources[tag].append(values["src"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "caption":
            self.captions.append(data)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    for name in ("a", "b<i>"):
        row = result(CORPUS, model_offset_ms=1.0)
        write_run(runs / name, CORPUS, [row])
        write_clips(runs / name, row, [0, 10, 20, 30], [5, 15, 20, 35], [0, 10, 20, 30])
    write_run(runs / "waiting", CORPUS, [])
    return runs


@pytest.fixture(scope="module")
def out(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "tables"
    slts("tables", f"runs={runs}", f"out={out}", SLTS_GRID="nowhere")
    return out


def test_every_table_in_every_form(out):
    expected = {f"{name}.{suffix}" for name in TABLES for suffix in ("md", "tex", "csv")}
    assert {file.name for file in out.iterdir()} == expected | {"report.html", "evidence.json"}
    text = (out / "results.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 3 and {line.count(" | ") for line in lines} == {lines[0].count(" | ")}
    assert "w-WER" in lines[0] and "k-WER" in lines[0]
    for note in ("newest of 2 runs", "an older run of the same row", "waiting: not evaluated yet"):
        assert note in text
    assert (out / "results.csv").read_text().count("generated, lagged offsets") == 3


def test_the_page_is_whole_and_needs_nothing_beside_it(out):
    text = (out / "report.html").read_text()
    page = Page(text)
    assert len(page.captions) == len(TABLES)
    assert len(page.sources["audio"]) == 4 and len(page.sources["img"]) == 1 + 2
    assert text.count("<svg") == 2 and "<title>v2-00001-x: true +15, found +10 ms</title>" in text
    for source in page.sources["audio"] + page.sources["img"]:
        kind, _, data = source.removeprefix("data:").partition(";base64,")
        start = {"audio/wav": b"RIFF", "image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8"}[kind]
        assert base64.b64decode(data, validate=True).startswith(start)
    assert "b<i>" not in text and "b&lt;i&gt;" in text and "http" not in text


def test_what_is_asked_first_is_said_first(out):
    text = (out / "report.html").read_text()
    order = ["reaches a-STOI 0.700", "2 scored runs of SLTS, on generated, lagged offsets; 1 run not evaluated yet.",
             "<audio", "<h2>Your runs", "<svg", "Beside the published", "<details>"]  # fmt: skip
    assert sorted(order, key=text.index) == order
    ablation = text[text.index("Table 2: Ablation") :]
    assert ablation.index("<tr><td") < ablation.index('<tr class="published"')
    assert '<abbr title="the paper&#x27;s cepstral distance, aligned">a-MCD \N{DOWNWARDS ARROW}</abbr>' in ablation


def test_the_headline_names_the_better_run_and_the_figures_it_leads_by(tmp_path):
    for run, a_stoi, a_mcd, stoi in (("a", 0.8, 40.0, 0.5), ("b", 0.7, 30.0, 0.5)):
        write_run(tmp_path / run, CORPUS, [result(CORPUS, a_stoi=a_stoi, a_mcd=a_mcd, stoi=stoi)])
    write_run(tmp_path / "val", CORPUS, [result(CORPUS, split="val", a_stoi=0.99)])
    found = standings(load_results(tmp_path))
    told = {one.column.name: (one.best, one.value, one.next_value) for one in found}
    assert told["a_stoi"] == ("a (SLTS)", 0.8, 0.7) and told["a_mcd"] == ("b (SLTS)", 30.0, 40.0)
    assert told["stoi"] == ("a (SLTS), b (SLTS)", 0.5, None), "equal digits are equally good"
    said = "a (SLTS) has the best a-STOI, 0.800, before b (SLTS) with 0.700; it is best by 1 of 2 figures"
    assert headline(found) == f"On generated, lagged offsets, test, {said}."
    assert "scored on test or val yet" in headline([])


def test_the_number_of_clips_is_capped(runs, tmp_path):
    slts("tables", f"runs={runs}", f"out={tmp_path}", "sounds=1", SLTS_GRID="nowhere")
    assert len(Page((tmp_path / "report.html").read_text()).sources["audio"]) == 2


def in_markdown(text: str) -> list[list[str]]:
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [[re.sub(r"\*\*|</?u>", "", cell) for cell in row] for row in rows[2:]]


def in_latex(text: str) -> list[list[str]]:
    body = text.partition("\\midrule")[2].partition("\\bottomrule")[0]
    rows = [line.removesuffix(r" \\").split(" & ") for line in body.splitlines() if " & " in line]
    cells = [[re.sub(r"\\(textbf|underline)\{(.*)\}", r"\2", cell) for cell in row] for row in rows]
    marks = {r"\dag{}": "†", r"$\pm$": "±", "--": MISSING}
    return [[reduce(lambda text, mark: text.replace(mark, marks[mark]), marks, cell) for cell in row] for row in cells]


def in_html(text: str, heading: str) -> list[list[str]]:
    body = text.partition(f"<caption>{html.escape(heading)}</caption>")[2].partition("</table>")[0]
    rows = [re.findall("<td.*?>(.*?)</td>", line) for line in body.splitlines() if "<td" in line]
    return [[re.sub("</?[bu]>", "", cell) for cell in row] for row in rows]


def in_csv(file, figures: list[str], without: str | None = None) -> list[list[str]]:
    def cell(row, name):
        dummy = "†" if name.startswith("offset_r2") and row.get("dummy") == "True" else ""
        interval = f" ± {float(row[f'{name}_ci']):.3f}" if row.get(f"{name}_ci") else ""
        return f"{float(row[name]):.{COLUMNS[name].digits}f}{interval}{dummy}" if row[name] else MISSING

    with file.open() as stream:
        return [
            [cell(row, name) for name in figures]
            for row in csv.DictReader(stream)
            if without is None or row.get("run") != without
        ]


@pytest.mark.parametrize("name", TABLES)
def test_every_form_of_a_table_has_the_same_figures(out, name):
    text = (out / f"{name}.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    names = {COLUMNS[name].title: name for name in COLUMNS}
    figures = [names[title] for title in lines[0].strip("| ").split(" | ") if title in names]
    count = len(figures)
    expected = in_csv(out / f"{name}.csv", figures)
    with_figures = in_csv(out / f"{name}.csv", figures, without="no run")
    assert len(expected) > 1 and (name in ("table1", "table3") or any(MISSING in row for row in expected))
    assert [row[-count:] for row in in_markdown(text)] == expected
    assert [row[-count:] for row in in_latex((out / f"{name}.tex").read_text())] == expected
    if name != "results":  # on the page without the figures that no run has
        page = (out / "report.html").read_text()
        assert [row[-count:] for row in in_html(page, text.splitlines()[0].strip("*"))] == with_figures


@pytest.mark.parametrize(
    ("key", "message"),
    [("ratings", "ratings="), ("published", "published=FILE"), ("clip", "clip="), ("runs", "runs=")],
)
def test_a_missing_file_is_named(runs, tmp_path, key, message):
    given = {"runs": runs, "out": tmp_path / "x", key: tmp_path / "missing"}
    done = slts("tables", *(f"{name}={value}" for name, value in given.items()), check=False)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()


def test_figures_are_drawn_where_there_is_something_to_draw(runs, tmp_path):
    results, corpora = load_results(runs), find_corpora(runs)
    for picture in (offset_histograms(results, corpora), offsets_against_truth(results)):
        assert picture.data.startswith(b"\x89PNG") and picture._repr_mimebundle_().keys() == {"image/png"}
    shown = reconstructions(results)
    assert [picture.caption.partition(" (")[0] for picture in shown] == ["a", "b<i>"]
    write_run(tmp_path / "bare", CORPUS, [result(CORPUS)])
    bare = load_results(tmp_path)
    assert offset_histograms(bare, {}) is None and offsets_against_truth(bare) is None and reconstructions(bare) == []


def test_speakers_are_read_from_keys():
    assert speaker_of("s1_bbaf2n", ["s1", "s10"]) == "s1" and speaker_of("s10_bbaf2n", ["s1", "s10"]) == "s10"
    assert speaker_of("v2-00000-x", ["v2"]) == "v2" and speaker_of("x", ["v2"]) == "?"


def test_tables_of_runs_that_were_trained_and_not_scored(tmp_path):
    write_run(tmp_path / "runs" / "a", CORPUS, [])
    done = slts("tables", f"runs={tmp_path / 'runs'}", f"out={tmp_path / 'out'}")
    assert "not evaluated yet" in done.stdout and (tmp_path / "out" / "report.html").is_file()
