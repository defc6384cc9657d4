from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from opto.cli import main
from opto.cli import model as model_command
from opto.errors import WeightsError
from opto.execution import report
from opto.llm.weights import CATALOGUE, DEFAULT, Progress
from opto.version import __version__

KEY = "sk-canary-cli"


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = main(arguments)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"opto {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["model"], ["nonsense"]])
def test_a_wrong_command_line_shows_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: opto" in capsys.readouterr().err


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "opto.cli", "model", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "qwen2.5-coder-1.5b-instruct" in done.stdout


def test_models_are_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_command, "is_present", "0.5b".__eq__)
    status, out, _ = run("model", "list", capsys=capsys)
    assert status == 0
    lines = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert set(lines) == set(CATALOGUE)
    assert "here" in lines["0.5b"]
    assert "not fetched" in lines["135m"]
    assert "(default)" in lines[DEFAULT]


def test_a_path_is_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"GGUF")
    assert run("model", "path", str(mine), capsys=capsys) == (0, f"{mine}\n", "")


def test_an_error_is_one_message_and_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run("model", "path", "135m", capsys=capsys)
    assert (status, out) == (1, "")
    assert err.startswith("opto: the weights of '135m' aren't in")
    assert "opto model fetch 135m" in err
    assert run("model", "path", "nonsense", capsys=capsys)[0] == 1


def test_fetching_shows_progress_and_the_path(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fetch(name: str, *, progress: object) -> Path:
        assert callable(progress)
        progress(Progress(name, 0, 2_000_000, "from the test"))
        progress(Progress(name, 2_000_000, 2_000_000, "from the test"))
        return tmp_path / name

    monkeypatch.setattr(model_command, "fetch", fetch)
    status, out, err = run("model", "fetch", capsys=capsys)
    assert (status, out) == (0, f"{tmp_path / DEFAULT}\n")
    assert "from the test" in err
    assert "100%" in err


def test_an_interrupt_ends_quietly(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(name: str, *, progress: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(model_command, "fetch", fetch)
    status, _, err = run("model", "fetch", "135m", capsys=capsys)
    assert (status, err.strip()) == (130, "opto: interrupted")


def test_a_failed_fetch_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(name: str, *, progress: object) -> Path:
        message = "no source"
        raise WeightsError(message)

    monkeypatch.setattr(model_command, "fetch", fetch)
    assert run("model", "fetch", "135m", capsys=capsys)[::2] == (1, "opto: no source\n")


# ---- doctor --------------------------------------------------------------------------------------


def test_the_doctor_lists_the_ways_where_there_is_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out, _ = run("doctor", capsys=capsys)
    assert status == 1
    assert "->" not in out
    assert "Ways to get one" in out
    assert "not fetched" in out


def test_the_doctor_says_which_and_why_and_no_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    status, out, err = run("doctor", capsys=capsys)
    assert status == 0
    assert KEY not in out + err
    chosen = [line for line in out.splitlines() if "->" in line]
    assert len(chosen) == 1
    assert "OPENAI_API_KEY" in chosen[0]
    assert "gpt-4o" in chosen[0]


def test_the_doctor_shows_what_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAI_CONFIG_LIST", f"[{KEY}")
    status, out, _ = run("doctor", capsys=capsys)
    assert status == 1
    assert "error: OAI_CONFIG_LIST should be a JSON list" in out
    assert KEY not in out


def test_the_doctor_knows_the_extras(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(name: str) -> None:
        """No module is installed."""

    monkeypatch.setattr("importlib.util.find_spec", nothing)
    _, out, _ = run("doctor", capsys=capsys)
    assert "pip install 'trace-opt[local]'" in out


def test_the_doctor_says_how_proposed_code_is_confined(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, out, _ = run("doctor", capsys=capsys)

    assert str(report()).splitlines()[1] in out
