"""A planted study with all that a page shows: validations, recorded responses, provenance."""

import json

from evaluation.config import EvalConfig
from evaluation.records import Evaluation, SuiteInfo, write_evaluation
from studies.reporting.report import write_report
from tests.evaluation.rows import row
from tests.studies.synthetic import Planted, solved

REPRODUCE = "python -m studies.run toy --set 'a=<b>'"
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> & \u2028 <!--"
ARMS = ("base", "sft", "grpo", f"hpt {HOSTILE}")


def metrics(arm, seed, step):
    asked = [[10 * step + place, (place + seed) / 4] for place in range(3)] + [[7, step / 8]]
    sampled = {} if arm == "sft" else {"rollout/solve_rate": step / 10, "rollout/solve_rates": asked}
    return {"rollout/solve_rate": None, "rollout/solve_rates": []} | sampled


def response(text, outcome, terms=(), trained=True):
    reward = float(outcome in ("correct", "demonstration"))
    return {"text": text, "reward": reward, "outcome": outcome, "trained": trained, "terms": list(terms)}


def recorded(arm, step):
    """Return a step's record: of step 2 the responses are left out."""
    terms = [] if step == 2 else ["reinforce"]
    responses = [
        response(f"{arm} at {step}: \\boxed{{{step}}}", "correct", terms, trained=step != 2),
        response(HOSTILE, "wrong", terms, trained=step != 2),
    ]
    if step == 3:
        responses.append(response("shown by a teacher", "demonstration", ["imitate"]))
    return {"step": step, "question": 100 + step, "prompt": HOSTILE, "answer": "4", "responses": responses}


def plant(folder, arms=ARMS, seeds=(0, 1), steps=6, validated=True):
    """Write a study of so many arms and seeds, with its records, and return it."""
    planted = Planted(folder, arms, seeds, steps=steps, outcome=solved, metrics=metrics, baseline=arms[0])
    planted.write()
    for arm in arms[1:]:
        for seed in seeds:
            add_rollouts(planted, arm, seed, [recorded(arm, step) for step in range(1, steps + 1)])
            if validated:
                for step in range(2, steps + 1, 2):
                    validate(planted, arm, seed, step)
    return planted


def add_rollouts(planted, arm, seed, records):
    text = "".join(json.dumps(record) + "\n" for record in records)
    (planted.run(arm, seed) / "rollouts.jsonl").write_text(text)


def validate(planted, arm, seed, step):
    """Plant a validation in which ever more questions are solved."""
    directory = planted.run(arm, seed) / "validation" / f"step-{step:06d}"
    directory.mkdir(parents=True)
    rows = [row("add", f"add-{number}", 0, "correct" if number < step else "wrong") for number in range(5)]
    suites = {"add": SuiteInfo("1", 5, 1, None, "f" * 64)}
    write_evaluation(directory, Evaluation(seed, EvalConfig(suites=("add",), samples=1), suites), rows)


def set_provenance(planted, arm, seed, provenance):
    path = planted.run(arm, seed) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"provenance": provenance}))


def report(planted):
    """Write the report and return its page's path."""
    write_report(planted.folder, planted.folder, None, REPRODUCE)
    return planted.folder / "report.html"
