"""Emphasis and writing of one small table whose cells are known."""

import csv
import io
from html.parser import HTMLParser

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from slts.reporting.table import ResultTable, latex, markdown


@pytest.fixture
def table() -> ResultTable:
    rows = [
        ("C", "A", "published", None, 0.70, 30.0, None, False),
        ("C", "B", "published", None, 0.80, 20.0, None, True),
        ("C", "real_voice", "published", None, 1.00, 0.0, 4.549, False),
        ("C", "A", "ours", "run_1", 0.75, None, 50.0, False),
        ("C", "D", "ours", "x|<y>", None, 25.0, None, False),
    ]
    columns = ["corpus", "system", "by", "run", "a_stoi", "a_mcd", "w_wer", "dummy"]
    frame = pd.DataFrame(rows, columns=columns).assign(note=["", "", "", "", "5 % & _failed_"])
    frame["offset_r2_frontend"] = [0.5, -0.1, None, None, None]
    return ResultTable("table9", "A title", frame, ("a_stoi", "a_mcd", "w_wer", "offset_r2_frontend"))


def test_best_of_each_side_and_not_of_the_real_voice_nor_of_a_dummy(table):
    ranks = table.ranks()
    assert ranks["a_stoi"].tolist() == [2, 1, 0, 0, 0]
    assert ranks["a_mcd"].tolist() == [2, 1, 0, 0, 0]
    assert ranks["offset_r2_frontend"].tolist() == [0, 0, 0, 0, 0]


def test_equal_digits_are_equally_good(table):
    table.frame.loc[0, "a_stoi"] = 0.8004
    assert table.ranks()["a_stoi"].tolist() == [1, 1, 0, 0, 0]


def test_differences_are_of_the_same_corpus_and_system(table):
    found = table.differences()
    assert found["system"].tolist() == ["A"]
    assert found["a_stoi"].tolist() == pytest.approx([0.05]) and found["a_mcd"].isna().all()
    table.frame["corpus"] = ["C", "C", "C", "GRID s1", "GRID s1"]
    assert table.differences().empty


def test_markdown(table):
    lines = table.to_markdown().splitlines()
    assert lines[0] == "**Table 9: A title**"
    assert lines[2] == "| corpus | system | by | run | a-STOI | a-MCD | w-WER % | R2 (F) |"
    assert lines[5] == "| C | B | published | – | **0.800** | **20.000** | – | -0.100† |"  # noqa: RUF001
    assert lines[8] == r"| C | D | ours | x\|&lt;y&gt; | – | 25.000 | – | – |"  # noqa: RUF001
    assert "- x\\|&lt;y&gt;: 5 % &amp; _failed_" in lines


def test_latex(table):
    text = table.to_latex()
    assert r"A & ours & run\_1 & 0.750 & -- & 50.00 & -- \\" in text
    assert r"\textbf{0.800} & \textbf{20.000} & -- & -0.100\dag{} \\" in text
    assert r"w-WER \%" in text and r"5 \% \& \_failed\_" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert [line.replace(r"\&", "").count("&") for line in rows] == [6, 0, 6, 6, 6, 6, 6]
    assert r"\multicolumn{7}{l}{\textit{C}} \\" in text and r"\caption{A title}" in text
    assert text.count("{") == text.count("}")


def test_special_characters():
    assert latex("<|>") == r"\textless{}\textbar{}\textgreater{}"
    assert latex("a_b%{x}\\^~#$&") == r"a\_b\%\{x\}\textbackslash{}\textasciicircum{}\textasciitilde{}\#\$\&"
    assert markdown("<script>|") == "&lt;script&gt;\\|"


def test_no_name_becomes_a_link_or_ends_its_row_in_markdown():
    """Read by a Markdown parser with GitHub's tables and links: one table, its rows whole, text and nothing else."""
    names = [
        "[run](https://x.example)",
        "![p](x.png)",
        "http://x.example/a",
        "www.x.example",
        "a\\|b|c",
        "`a|b`",
        "a\nb",
    ]
    reader = MarkdownIt("commonmark").enable("table")
    for name in names:
        tokens = reader.parse(f"| t |\n| --- |\n| {markdown(name)} |\n")
        assert [token.type for token in tokens].count("td_open") == 1
        (cell,) = [token for token in tokens if token.type == "inline" and token.content != "t"]
        assert {token.type for token in cell.children} <= {"text", "text_special"}
        assert "".join(token.content for token in cell.children) == " ".join(name.split())
        # What GitHub's bare links need is not in the source.
        assert "://" not in cell.content and "www." not in cell.content


def test_html_has_equal_rows_and_nothing_unescaped(table):
    rows = []

    class Cells(HTMLParser):
        def handle_starttag(self, tag, attrs):
            assert tag != "y"
            if tag == "tr":
                rows.append(0)
            elif tag in ("td", "th"):
                rows[-1] += int(dict(attrs).get("colspan", 1))

    Cells().feed(table._repr_html_())
    assert rows == [7] * 7  # the corpus is a heading of its rows


def test_csv_leaves_missing_figures_empty(table):
    rows = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert [row["a_mcd"] for row in rows] == ["30.0", "20.0", "0.0", "", "25.0"]


def test_csv_holds_no_formula(table):
    table.frame.loc[3, "run"] = "=HYPERLINK(1)"
    rows = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert rows[3]["run"] == "'=HYPERLINK(1)"
    assert rows[1]["offset_r2_frontend"] == "-0.1"
