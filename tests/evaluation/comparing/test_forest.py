"""The forest plot shows the numbers of the table, readably."""

from itertools import combinations

import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text

WORST, BEST = " ".join("wwwwwwww"), " ".join("cccccccc")


@pytest.fixture
def drawn(monkeypatch, compare):
    """Compare, and return the figure instead of writing it."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: figures.append(self))

    def drawn(*arguments):
        code, _, err = compare(*arguments)
        assert code == 0, err
        return figures[-1]

    return drawn


def bars(axes):
    return [
        line
        for line in axes.lines
        if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]
    ]


def markers(axes):
    return [line for line in axes.lines if line.get_marker() in ("o", "D")]


def test_the_figure_shows_the_numbers(write, drawn):
    figure = drawn(write("base", {"math": WORST}), write("hpt", {"math": BEST[:-2] + " w"}))
    axes, numbers = figure.axes
    (bar,), (marker,) = bars(axes), markers(axes)
    assert list(marker.get_xdata()) == [87.5]
    assert list(bar.get_xdata()) == pytest.approx([57.94, 117.06], abs=0.01)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["math"]
    assert [label.get_text() for label in numbers.get_yticklabels()] == ["+87.5  (+57.9 to +117.1)"]
    low, high = axes.get_xlim()
    assert low < 0 < high
    assert axes.get_xlabel() == "difference of avg@k to base, percent points"


def test_only_what_is_told_apart_after_correction_is_filled(write, drawn):
    # Six gains of eight: p 1/32, and 1/16 for two suites. All eight: 1/128.
    base = write("base", {"add": WORST, "sub": WORST})
    some = "w w c c c c c c"
    open_ones = markers(drawn(base, write("hpt", {"add": some, "sub": some})).axes[0])
    assert [each.get_markerfacecolor() for each in open_ones[:2]] == ["white", "white"]
    assert [each.get_marker() for each in open_ones] == ["o", "o", "D"]
    assert to_rgba(open_ones[2].get_markerfacecolor()) == to_rgba(open_ones[2].get_color())
    filled = markers(drawn(base, write("grpo", {"add": BEST, "sub": some})).axes[0])[0]
    assert to_rgba(filled.get_markerfacecolor()) == to_rgba(filled.get_color())


def test_rows_of_a_suite_stand_together_under_its_name(write, drawn):
    words = {"add": "c w w", "sub": "c w c"}
    figure = drawn(write("base", words), write("grpo", words), write("hpt", words))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["add", "grpo", "hpt", "sub", "grpo", "hpt", "average", "grpo", "hpt"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["grpo − base", "hpt − base"]
    heights = [marker.get_ydata()[0] for marker in markers(figure.axes[0])]
    assert heights == sorted(set(heights))


@pytest.mark.parametrize("others", [1, 4])
@pytest.mark.parametrize("suites", [1, 8])
def test_nothing_in_the_figure_overlaps_or_is_cut(write, drawn, others, suites):
    words = {f"suite_with_a_long_name_{number}": "cw cw ww" for number in range(suites)}
    gains = dict.fromkeys(words, "cc cw ww")
    names = [write(f"a_long_name_of_a_method_of_$training$_{number}", gains) for number in range(others)]
    figure = drawn(write("base", words), *names)
    figure.draw_without_rendering()
    main, numbers = figure.axes
    rows, columns = main.get_yticklabels(), shown_ticks(main)
    caption = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_text().startswith("Bar:"))
    texts = [*rows, *numbers.get_yticklabels(), *columns, main.xaxis.label, *caption]
    boxes = [text.get_window_extent() for text in [*texts, *figure.legends[0].get_texts()]]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)
    for labels in (rows, numbers.get_yticklabels(), columns):
        extents = [label.get_window_extent() for label in labels]
        assert not any(first.overlaps(second) for first, second in combinations(extents, 2))
    plot = main.get_window_extent()
    assert not any(row.get_window_extent().overlaps(plot) for row in rows)
    assert not figure.legends[0].get_window_extent().overlaps(plot)
    assert not caption[0].get_window_extent().overlaps(main.xaxis.label.get_window_extent())


def shown_ticks(axes):
    low, high = axes.get_xlim()
    return [label for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]


def test_a_dollar_sign_is_no_formula(write, drawn):
    words = {"add": "c w w"}
    figure = drawn(write("base", words), r"$\no{$=" + write("hpt", words))
    figure.draw_without_rendering()
    assert figure.legends[0].get_texts()[0].get_text() == r"$\no{$ − base"
