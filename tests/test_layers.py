"""The drawing of the layers in pyproject.toml holds, and would notice a breach."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "opto"
CONTRACTS = "[tool.importlinter]\n"


def configuration() -> str:
    """The contracts of pyproject.toml, all packages optional, so that a sketch can be linted."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    layers = text[text.index(CONTRACTS) : text.index('id = "tracing-stands-alone"')]
    return (
        layers.replace('"registry"', '"(registry)"')
        .replace('"errors"', '"(errors)"')
        .rpartition("[[tool.importlinter.contracts]]")[0]
    )


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    run = "from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", run, "--no-logo", "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def sketch(folder: Path, modules: dict[str, str]) -> Path:
    """A package `opto` with the modules given and the contracts of the real one."""
    package = folder / "opto"
    package.mkdir()
    (package / "__init__.py").touch()
    for name, text in modules.items():
        (package / f"{name}.py").write_text(text, "utf-8")
    (folder / "pyproject.toml").write_text(configuration(), "utf-8")
    return folder


def imports_at_load(path: Path) -> set[str]:
    """The modules that loading a file imports; those in functions, for extras, aren't."""
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while pending:
        for node in ast.iter_child_nodes(pending.pop()):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module or "")
            elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not for_checkers(
                node
            ):
                pending.append(node)
    return found


def for_checkers(node: ast.AST) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`, which never runs."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def test_an_import_downwards_is_allowed(tmp_path: Path) -> None:
    done = lint(sketch(tmp_path, {"errors": "", "trace": "import opto.errors"}))

    assert done.returncode == 0, done.stdout + done.stderr


def test_an_import_upwards_or_sideways_is_a_breach(tmp_path: Path) -> None:
    breaches = {
        "errors": "registry",
        "trace": "records",
        "execution": "llm",
        "optimizers": "trainer",
        "viz": "trainer",
        "testing": "utils",
    }
    modules = dict.fromkeys([*breaches, *breaches.values()], "")
    modules |= {importer: f"import opto.{imported}" for importer, imported in breaches.items()}
    modules["registry"] = "def late():\n    import opto.llm\n"
    done = lint(sketch(tmp_path, modules))

    assert done.returncode == 1, done.stderr
    for importer, imported in [*breaches.items(), ("registry", "llm")]:
        assert f"opto.{importer} -> opto.{imported}" in done.stdout


def test_a_module_without_a_layer_is_a_breach(tmp_path: Path) -> None:
    done = lint(sketch(tmp_path, {"errors": "", "cellar": ""}))

    assert done.returncode == 1, done.stderr
    assert "cellar" in done.stdout


def test_the_layers_are_those_that_contributors_read() -> None:
    """CONTRIBUTING.md draws the layers of pyproject.toml."""
    listed = re.search(r"layers = \[(.*?)\]", configuration(), re.DOTALL)
    assert listed is not None
    layers = [line.strip(' ",').translate({40: "", 41: ""}) for line in listed[1].splitlines()]
    drawing = (ROOT / "CONTRIBUTING.md").read_text("utf-8")

    assert "\n".join(filter(None, layers)) in drawing


@pytest.mark.parametrize(
    "path", sorted((SOURCE / "trace").rglob("*.py")), ids=lambda path: path.stem
)
def test_tracing_imports_the_standard_library_alone(path: Path) -> None:
    tops = {name.partition(".")[0] for name in imports_at_load(path)}

    assert tops - {"opto"} <= sys.stdlib_module_names
