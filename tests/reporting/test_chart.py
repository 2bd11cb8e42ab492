"""Charts of a page: where dots lie, what they say, and that no name in them becomes markup."""

from xml.etree import ElementTree

import pytest

from slts.reporting.chart import BOTTOM, LEFT, RIGHT, TOP, Chart, Dot


def test_dots_lie_where_they_are_and_say_what_they_are():
    dots = [Dot(0, -10, "low <b>", strength=0.5), Dot(10, 10, 'high "&"', hollow=True)]
    chart = Chart("a <title>", "x", "y & z", dots, lines=[(0, -10, 10, 10)], band=(-5, 5), marks=[(5, "no <offset>")])
    tree = ElementTree.fromstring(chart.to_svg())
    _, _, width, height = map(float, tree.get("viewBox").split())
    low, high = tree.findall("circle")
    assert low.find("title").text == "low <b>" and high.find("title").text == 'high "&"'
    assert (low.get("class"), high.get("class"), low.get("opacity")) == ("dot", "dot hollow", "0.50")
    [line] = tree.findall("line[@class='line']")
    assert [line.get(key) for key in ("x1", "y1", "x2", "y2")] == [
        low.get("cx"), low.get("cy"), high.get("cx"), high.get("cy")]  # fmt: skip
    across = (float(high.get("cx")) - float(low.get("cx"))) / (width - LEFT - RIGHT)
    up = (float(low.get("cy")) - float(high.get("cy"))) / (height - TOP - BOTTOM)
    assert across == pytest.approx(1 / 1.1, abs=0.001) and up == pytest.approx(1 / 1.1, abs=0.001)
    [band], [mark] = tree.findall("rect"), tree.findall("line[@class='mark']")
    assert float(band.get("height")) == pytest.approx(up / 2 * (height - TOP - BOTTOM), abs=0.2)
    assert mark.find("title").text == "no <offset>" and tree.find("text").text == "a <title>"


@pytest.mark.parametrize("dots", [[], [Dot(3, 3, "alone")]])
def test_few_dots_are_drawn(dots):
    tree = ElementTree.fromstring(Chart("t", "x", "y", dots, square=True).to_svg())
    assert len(tree.findall("circle")) == len(dots)
