"""Makes the files of the tiny scales: `python -m studies.scales.tiny.build [FOLDER]`.

Base policies of two architectures, training parquet of the Openr1-Math-46k-8192 schema, and a jsonl file a
suite, all from one seed.
"""

from __future__ import annotations

import json
import logging
import random
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from studies.scales.tiny.pretrain import new_llama, new_qwen2, pretrain
from studies.scales.tiny.tokenizer import build_tokenizer
from studies.scales.tiny.world import NO_MISTAKES, Operation, Problem, draw_problem, worked_solution

SEED = 0
TRAINING_ROWS = 2000
SUITE_ROWS = 100
SUITES: dict[str, tuple[Operation, int]] = {
    "add2": ("+", 2),
    "add3": ("+", 3),
    "add4": ("+", 4),
    "add5": ("+", 5),
    "subtract2": ("-", 2),
    "subtract3": ("-", 3),
}
POLICIES = {"base_policy": new_qwen2, "llama_policy": new_llama}
# Share of the training questions: more of what the base policy can't do yet.
TRAINED = {"add2": 1, "add3": 2, "add4": 3, "add5": 4}


def distinct_problems(
    rng: random.Random, kinds: Iterable[tuple[Operation, int]], taken: set[Problem]
) -> list[Problem]:
    """Return one problem of each kind, none of which is `taken`; they are taken then."""
    problems = []
    for operation, digits in kinds:
        problem = draw_problem(rng, operation, digits)
        while problem in taken:
            problem = draw_problem(rng, operation, digits)
        taken.add(problem)
        problems.append(problem)
    return problems


def suite_rows(problems: Sequence[Problem], suite: str) -> list[dict[str, str]]:
    """Return the questions of a suite as evaluation reads them."""
    return [
        {
            "id": f"{suite}/{index}",
            "problem": problem.text,
            "answer": str(problem.answer),
            "level": str(problem.digits),
        }
        for index, problem in enumerate(problems)
    ]


def training_row(index: int, problem: Problem) -> dict[str, Any]:
    """Return one row of the training set, with its demonstration."""
    solution = worked_solution(problem, NO_MISTAKES, random.Random())
    return {
        "data_source": f"tiny_add{problem.digits}",
        "prompt": [{"content": problem.text, "role": "user"}],
        "target": [{"content": solution, "role": "assistant"}],
        "ability": "math",
        "reward_model": {"ground_truth": str(problem.answer), "style": "rule"},
        "extra_info": {"index": index, "split": "train"},
    }


def write_training(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as parquet with the schema's own types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    turns = pa.list_(pa.struct([("content", pa.string()), ("role", pa.string())]))
    schema = pa.schema(
        [
            ("data_source", pa.string()),
            ("prompt", turns),
            ("target", turns),
            ("ability", pa.string()),
            ("reward_model", pa.struct([("ground_truth", pa.string()), ("style", pa.string())])),
            ("extra_info", pa.struct([("index", pa.int64()), ("split", pa.string())])),
        ]
    )
    pq.write_table(pa.Table.from_pylist(list(rows), schema), path, compression="zstd")


def build_data(folder: Path) -> None:
    """Write the suites, then the training set out of problems that no suite holds."""
    taken: set[Problem] = set()
    (folder / "eval").mkdir(parents=True, exist_ok=True)
    for name, kind in SUITES.items():
        problems = distinct_problems(random.Random(f"{SEED} {name}"), [kind] * SUITE_ROWS, taken)
        lines = [json.dumps(row) + "\n" for row in suite_rows(problems, name)]
        (folder / "eval" / f"{name}.jsonl").write_text("".join(lines))
    rng = random.Random(f"{SEED} training")
    names = rng.choices(list(TRAINED), list(TRAINED.values()), k=TRAINING_ROWS)
    kinds = [SUITES[name] for name in names]
    rows = [training_row(i, p) for i, p in enumerate(distinct_problems(rng, kinds, taken))]
    write_training(folder / "train.parquet", rows)


def main() -> None:
    """Make everything in the given folder, or where the scale reads it."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    torch.set_num_threads(1)  # the order of summation is part of what makes the weights the same
    build_data(folder)
    tokenizer = build_tokenizer()
    for name, new_policy in POLICIES.items():
        pretrain(new_policy(SEED), tokenizer, SEED).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)


if __name__ == "__main__":
    main()
