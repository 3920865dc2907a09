"""The audit of a configuration, the whole matrix on one rank, and the records of both."""

import json
import math

import pytest
import torch

from studies.auditing.configuration import NOT_FINITE, audit_configuration
from studies.auditing.layout import CASES
from studies.auditing.matrix import whole_matrix
from studies.auditing.planted import PLANTS
from studies.auditing.result import AuditResult, CellResult, common, merged
from studies.auditing.table import as_markdown, as_text, write_record
from training.config import EngineConfig
from training.engine import Engine
from training.ranks import Ranks

torch.set_num_threads(1)


@pytest.mark.parametrize(
    "settings",
    [
        {"zero_stage": 0, "gradient_clip": None},
        {"zero_stage": 2, "precision": "bf16"},
        {"zero_stage": 0, "gradient_clip": 50.0, "skip_norm_above": 80.0},
        pytest.param({"zero_stage": 1, "gradient_clip": 1e-3}, marks=pytest.mark.slow),
        pytest.param({"zero_stage": 3, "gradient_clip": 1e4}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_the_engine_passes(settings):
    heard = []
    found = audit_configuration(EngineConfig(**settings), Ranks(), told=heard.append)
    assert found.passed
    assert found.diagnoses == []
    assert found.worst_error < (4e-3 if "precision" in settings else 1e-6)
    assert [cell.micro_batches for cell in found.cells] == list(CASES)
    assert tuple(heard) == found.cells
    assert AuditResult.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert found.versions["deepspeed_from"].endswith("site-packages")


@pytest.mark.slow
@pytest.mark.parametrize("engine", whole_matrix(), ids=str)
def test_the_whole_matrix_passes_on_one_rank(engine):
    found = audit_configuration(engine, Ranks())
    assert found.passed, found.cells
    assert found.worst_error < (4e-3 if engine.precision == "bf16" else 1e-6)


def test_the_matrix_has_every_configuration_that_training_allows():
    found = {(each.zero_stage, each.offload, each.precision, each.gradient_clip) for each in whole_matrix()}
    assert len(found) == len(whole_matrix()) == 26
    for stage in range(4):
        for offload in (False, True):
            for precision in ("fp32", "bf16"):
                for clip in (None, 1.0):
                    key = (stage, offload, precision, clip)
                    try:
                        EngineConfig(*key[:3], gradient_clip=clip)
                    except ValueError:
                        assert key not in found
                    else:
                        assert key in found


def test_a_red_result_says_so_everywhere(tmp_path):
    found = audit_configuration(EngineConfig(), Ranks(), PLANTS["shifted_mask"])
    assert not found.passed
    assert found.diagnoses == ["shifted_mask"]
    assert found.worst_error > 0.1
    text = as_text(found)
    assert text.count("| FAIL: shifted_mask") == 4
    assert "4 cells: 0 pass, 4 FAIL: shifted_mask." in text
    assert "each response's first token is not trained on" in text
    write_record(found, tmp_path / "made", "python -m studies.audit")
    record = json.loads((tmp_path / "made" / "audit.json").read_text())
    assert record["passed"] is False
    assert record["diagnoses"] == ["shifted_mask"]
    assert AuditResult.from_json(record) == found
    table = (tmp_path / "made" / "table.md").read_text()
    assert table == as_markdown(found, "python -m studies.audit")
    assert table.endswith("    python -m studies.audit\n")


class Diverging(Engine):
    """Its gradient is no number."""

    def backward(self, loss, *, last):
        super().backward(loss * math.nan, last=last)


def test_a_gradient_that_is_no_number_is_a_diagnosis():
    found = audit_configuration(EngineConfig(), Ranks(), Diverging)
    assert found.diagnoses == [NOT_FINITE]
    record = json.dumps(found.to_json(), allow_nan=False)
    again = AuditResult.from_json(json.loads(record))
    assert again.diagnoses == [NOT_FINITE]
    assert math.isnan(again.cells[0].error)
    assert again.worst_error == 0.0


def test_a_record_of_another_schema_is_refused():
    with pytest.raises(ValueError, match="schema 7"):
        AuditResult.from_json({"schema": 7})


def test_results_of_several_launches_are_one():
    one = CellResult.failed(EngineConfig(), "1", 1, "no_clip", "because")
    two = CellResult.failed(EngineConfig(), "1", 2, "no_step", "because")
    versions = {"deepspeed": "0"}
    found = merged([AuditResult((one,), versions), AuditResult((two,), versions)])
    assert found.cells == (one, two)
    assert found.versions == versions


def test_the_fewest_faults_that_explain_all_are_named():
    assert common([(), ("a", "b"), ("a",), ("a", "c")]) == ("a",)
    assert common([("a", "b"), ("a", "b")]) == ("a", "b")
    assert common([("a", "b"), ("a",), ("c",)]) == ("a", "c")
    assert common([(), ()]) == ()
