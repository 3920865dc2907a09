"""Put a study's page together and write it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from studies.reporting.page.embedding import FOLDER, embedded_json, own_file, policy, vega
from studies.reporting.page.facts import configurations, provenance, summary_line, unfinished, verdicts
from studies.reporting.page.rates import heat_map, rates_data
from studies.reporting.page.samples import samples_data
from studies.reporting.page.tables import table_view
from studies.reporting.parts import Chart, Context, Part

NAME = "report.html"


def write_page(context: Context, parts: Sequence[Part], folder: Path, reproduce: str) -> Path:
    """Write report.html into a folder and return its path; equal records give equal bytes.

    Args:
        context: Of the report.
        parts: Of the report, in order.
        folder: For the file.
        reproduce: Command that makes the study again.
    """
    path = folder / NAME
    text = page(context, parts, reproduce)
    path.write_text(text, encoding="utf-8", errors="replace", newline="\n")
    return path


def page(context: Context, parts: Sequence[Part], reproduce: str) -> str:
    """Return a study's page; the arguments are those of `write_page`."""
    records = context.records
    charts = [chart for part in parts for chart in part.charts]
    differing, shared = configurations(records)
    scripts = [vega(), own_file("page.js")]
    data = {
        "charts": {chart.name: _described(chart) for chart in charts},
        "rates": rates_data(records),
        "heat_map": heat_map(),
        "samples": samples_data(records),
    }
    return (
        _environment()
        .get_template("page.html")
        .render(
            study=records.study,
            summary=summary_line(records),
            audit=records.audit,
            audit_notes=records.audit_notes,
            problems=[*records.problems, *unfinished(context)],
            tables=[table_view(section) for part in parts for section in part.sections],
            charts=charts,
            data=data,
            embedded=embedded_json(data),
            configurations=table_view(differing, words=True),
            shared=shared,
            verdicts=table_view(verdicts(context)),
            provenance=table_view(provenance(records), words=True),
            reproduce=reproduce,
            style=own_file("page.css"),
            scripts=scripts,
            policy=policy(scripts),
        )
    )


def _described(chart: Chart) -> dict[str, object]:
    """Return a chart's specification with the words that a screen reader says for it."""
    return {**chart.spec, "description": " ".join([chart.heading, *chart.notes])}


def _environment() -> Environment:
    loader = FileSystemLoader(FOLDER / "templates")
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
