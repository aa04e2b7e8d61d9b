"""Reads what was drawn back, as a browser would."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from html.parser import HTMLParser

import pytest

_VOID = {"meta", "br", "hr", "img", "input", "link"}


class _Balanced(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


@pytest.fixture(scope="session")
def tags() -> Callable[[str], list[str]]:
    """Gives the tags of a whole page, which must close each other, need nothing else and run nothing."""

    def read(html: str) -> list[str]:
        parser = _Balanced()
        parser.feed(html)
        parser.close()
        assert parser.open == []
        assert not {"script", "link", "iframe", "img"} & {*parser.tags}
        assert not re.search(r"<[^>]*\b(src|href)=", html)
        assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in html
        return parser.tags

    return read


@pytest.fixture(scope="session")
def drawn() -> Callable[[str], ET.Element]:
    """Parses an SVG, and finds nothing drawn outside of its view box."""

    def read(svg: str) -> ET.Element:
        root = ET.fromstring(svg)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for x, y in _points(root):
            assert -0.11 <= x <= width + 0.11, (x, width)
            assert -0.11 <= y <= height + 0.11, (y, height)
        return root

    return read


def _points(root: ET.Element) -> Iterator[tuple[float, float]]:
    for one in root.iter():
        at = one.attrib
        if one.tag == "rect":
            x, y = float(at["x"]), float(at["y"])
            yield x, y
            yield x + float(at["width"]), y + float(at["height"])
        elif one.tag == "circle":
            yield float(at["cx"]), float(at["cy"])
        elif one.tag == "text":
            yield float(at["x"]), float(at["y"])
        elif one.tag == "polyline":
            yield from (tuple(map(float, pair.split(","))) for pair in at["points"].split())  # type: ignore[misc]
        elif one.tag == "path":
            x, y = 0.0, 0.0
            for letter, numbers in re.findall(r"([MHVhv])([-\d. e]+)", at["d"]):
                values = [float(value) for value in numbers.split()]
                x = {"M": values[0], "H": values[0], "h": x + values[0]}.get(letter, x)
                y = {"M": values[-1], "V": values[0], "v": y + values[0]}.get(letter, y)
                yield x, y
