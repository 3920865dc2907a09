"""Who may import whom, what loads with the estimator, and how long files and algorithms may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "core": set(),
    "algorithms": {"core"},
    "training": {"core"},
    "evaluation": {"core"},
    "studies": {"core", "algorithms", "training", "evaluation"},
}
HOUSES = {*ALLOWED, "tests"}
HOMES = {
    "deepspeed": lambda path: path.startswith("training/engine"),
    "math_verify": lambda path: path.startswith("evaluation/gra"),
    "lm_eval": lambda path: path.startswith("evaluation/"),
    "optuna": lambda path: path.startswith("studies/"),
    "vllm": lambda path: path.startswith("training/vllm_"),
}
HEAVY = [
    "accelerate", "altair", "datasets", "deepspeed", "jinja2", "lm_eval", "math_verify", "matplotlib",
    "optuna", "pandas", "pyarrow", "pydantic", "scipy", "transformers", "tyro", "vl_convert", "vllm",
]  # fmt: skip
FILES = sorted(path for house in ALLOWED for path in (ROOT / house).rglob("*.py"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def imported(path):
    """Return the dotted names that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno} imports relatively"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def tops(path):
    return {name.partition(".")[0] for name in imported(path)}


def module(path):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


@every_file
def test_imports_follow_the_arrows(path):
    house = path.relative_to(ROOT).parts[0]
    assert tops(path) & HOUSES <= ALLOWED[house] | {house}


@every_file
def test_libraries_are_imported_only_where_they_live(path):
    place = path.relative_to(ROOT).as_posix()
    misplaced = {name for name in tops(path) & set(HOMES) if not HOMES[name](place)}
    assert not misplaced


@pytest.mark.parametrize("house", ["core", "algorithms"])
def test_the_estimator_needs_torch_and_jaxtyping_only(house):
    allowed = {"torch", "jaxtyping", "core", house} | set(sys.stdlib_module_names)
    for path in (ROOT / house).rglob("*.py"):
        assert tops(path) <= allowed, path


def test_modules_do_not_import_each_other_in_a_circle():
    modules = {module(path): path for path in FILES}
    arrows = {name: (imported(path) & set(modules)) - {name} for name, path in modules.items()}
    while leaves := [name for name, targets in arrows.items() if not targets & set(arrows)]:
        for name in leaves:
            del arrows[name]
    assert not arrows, f"circle among {sorted(arrows)}"


def test_importing_core_and_algorithms_loads_no_heavy_package():
    code = "import core, algorithms, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "core" in loaded
    assert not loaded & set(HEAVY)
    assert not loaded & {"training", "evaluation", "studies", "tests"}


@every_file
def test_no_file_is_longer_than_two_hundred_lines(path):
    assert len(path.read_text().splitlines()) <= 200


@pytest.mark.parametrize("path", sorted((ROOT / "algorithms").glob("*.py")), ids=lambda path: path.stem)
def test_an_algorithm_is_a_short_composition_without_branches_or_tensors(path):
    tree = ast.parse(path.read_text())
    assert "torch" not in tops(path)
    for node in ast.walk(tree):
        assert not isinstance(node, ast.If | ast.IfExp | ast.For | ast.While), f"line {node.lineno} branches"
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 30, f"{path}:{node.lineno} {node.name} is too long"


def test_no_algorithm_is_built_on_another_ones_file():
    shared = {"algorithms.estimators"}
    for path in (ROOT / "algorithms").glob("*.py"):
        if path.stem != "__init__":
            borrowed = {name for name in imported(path) if name.startswith("algorithms")}
            assert not {name for name in borrowed if not any(name.startswith(s) for s in shared)}, path


REMOVAL = """
import importlib, importlib.abc, pathlib, re, sys
import core
import algorithms
registry = pathlib.Path(algorithms.__file__)
whole = {name: build() for name, build in algorithms.ALGORITHMS.items()}
source = registry.read_text()


class Missing(importlib.abc.MetaPathFinder):
    name = ""

    def find_spec(self, name, path, target=None):
        if name == self.name:
            raise ModuleNotFoundError(name)


missing = Missing()
sys.meta_path.insert(0, missing)
for file in sorted(registry.parent.glob("*.py")):
    if file.stem in ("__init__", "estimators"):
        continue
    for name in [name for name in sys.modules if name.partition(".")[0] == "algorithms"]:
        del sys.modules[name]
    missing.name = f"algorithms.{file.stem}"
    own = re.search(rf"from algorithms.{file.stem} import \\(?([^)]*?)\\)?\\n(?=from)", source)
    rows = [row.strip() for row in own[1].split(",") if row.strip()]
    left = source.replace(own[0], "")
    for row in rows:
        left = re.sub(rf'    "\\w+": {row},\\n', "", left)
    package = type(sys)("algorithms")
    package.__path__ = [str(registry.parent)]
    sys.modules["algorithms"] = package
    exec(compile(left, str(registry), "exec"), package.__dict__)
    built = {name: build() for name, build in package.ALGORITHMS.items()}
    assert len(built) == len(whole) - len(rows), file
    assert all(built[name] == whole[name] for name in built), file
    print(file.stem)
"""


def test_an_algorithms_file_can_be_removed_with_its_registry_row_alone():
    done = subprocess.run([sys.executable, "-c", REMOVAL], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    files = {path.stem for path in (ROOT / "algorithms").glob("*.py")} - {"__init__", "estimators"}
    assert set(done.stdout.split()) == files


def test_the_estimator_asks_for_no_algorithms_name():
    from algorithms import ALGORITHMS

    for path in (ROOT / "core").glob("*.py"):
        branches = [
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Compare | ast.match_case | ast.Subscript)
        ]
        asked = {each.value for node in branches for each in ast.walk(node) if isinstance(each, ast.Constant)}
        assert not asked & set(ALGORITHMS), path
        assert not any(
            isinstance(node, ast.Attribute) and node.attr == "name"
            for b in branches
            if isinstance(b, ast.Compare)
            for node in ast.walk(b)
        ), path
