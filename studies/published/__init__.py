"""Published tables that studies make again: their numbers, stored once, and what they were measured under."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from studies.catalog import known
from studies.published.tables import Paper, Row, ScoreTable, SolveRow, SolveTable, Table

FILE = Path(__file__).with_name("lv_2025.toml")


def find_published(name: str) -> Table:
    """Return the published table of that name; UsageError names the nearest ones where there is none."""
    tables = published_tables()
    return tables[known("published table", name, tables)]


@cache
def published_tables() -> dict[str, Table]:
    """Return all tables by name."""
    document = tomllib.loads(FILE.read_text(encoding="utf-8"))
    scored, solved = document.pop("tables"), document.pop("solves")
    paper = Paper(**document)
    tables: dict[str, Table] = {name: _score_table(name, held, paper) for name, held in scored.items()}
    tables |= {name: _solve_table(name, held, paper) for name, held in solved.items()}
    return {name: tables[name] for name in sorted(tables)}


def _score_table(name: str, held: Mapping[str, Any], paper: Paper) -> ScoreTable:
    averages = {average: tuple(suites) for average, suites in held["averages"].items()}
    rows = tuple(_rows(held, averages))
    return ScoreTable(name, held["caption"], averages, rows, paper)


def _rows(held: Mapping[str, Any], averages: Mapping[str, tuple[str, ...]]) -> Iterator[Row]:
    for name, row in held["rows"].items():
        yield Row(
            **{"scale": held["scale"]}
            | row
            | {
                "name": name,
                "scores": dict(zip(held["suites"], row["scores"], strict=True)),
                "averages": dict(zip(averages, row["averages"], strict=True)),
            }
        )


def _solve_table(name: str, held: Mapping[str, Any], paper: Paper) -> SolveTable:
    levels = [str(level) for level in held["levels"]]
    rows = [
        SolveRow(
            pair,
            row["algorithm"],
            dict(zip(levels, zip(row["gained"], row["lost"], strict=True), strict=True)),
            (row["overall"][0], row["overall"][1]),
        )
        for pair, row in held["rows"].items()
    ]
    return SolveTable(
        name=name,
        caption=held["caption"],
        scale=held["scale"],
        suite=held["suite"],
        questions=dict(zip(levels, held["questions"], strict=True)),
        algorithm=held["algorithm"],
        arguments=held["arguments"],
        rows=tuple(rows),
        paper=paper,
    )
