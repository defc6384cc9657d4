from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from opto.errors import NotPlainData, ParameterFileError
from opto.records import parameter_file
from opto.records.parameter_file import Document, Section, parsed, written
from tests.records.helpers import TEXTS, VALUES, exact

PLAIN = Document(
    {"of": "agents.Agent"},
    [
        Section("parameter", "prompt", {"type": "str", "value": "Be brief.\nBe kind. \n"}),
        Section(
            "parameter", "tools.0", {"type": "list", "value": [1, {"a": (2.5, None)}, b"\xff"]}
        ),
        Section("state", "log", {"value": []}),
    ],
)
DATA = written(PLAIN)
VERSIONS = Path(__file__).parent / "versions"


# What the file of each version in the folder says.
KEPT = {
    "version-1": PLAIN,
    "version-2": Document(
        {"of": "agents.Agent"},
        [
            Section("parameter", "act", {"type": "code", "origin": origin, "value": "def act(): 1"})
            if number == 0
            else Section(
                "parameter", f"act.{number}", {"type": "str", "origin": origin, "value": ""}
            )
            for number, origin in enumerate(
                [
                    {"from": "model", "model": "small", "run": "5eed", "step": 3},
                    {"from": "file", "path": "old.txt", "sha256": "ab" * 32},
                    "author",
                    "unknown",
                ]
            )
        ],
    ),
}


def signed(text: str) -> bytes:
    body = text.encode()
    return body + f"checksum: sha256 {hashlib.sha256(body).hexdigest()}\n".encode()


def refused(data: bytes) -> str:
    with pytest.raises(ParameterFileError) as caught:
        parsed(data, "x.txt")
    return str(caught.value)


# ---- there and back ------------------------------------------------------------------------------


@given(st.dictionaries(TEXTS, VALUES, max_size=3))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_document_comes_back(values: dict[str, object]) -> None:
    sections = [Section("parameter", name, {"value": value}) for name, value in values.items()]
    found = parsed(written(Document({}, sections)), "x.txt")

    assert [section.name for section in found.sections] == list(values)
    assert exact([s.fields["value"] for s in found.sections]) == exact(list(values.values()))


def test_the_text_is_the_same_each_time() -> None:
    assert written(PLAIN) == DATA
    assert written(parsed(DATA, "x.txt")) == DATA


def test_lines_end_as_they_end_elsewhere() -> None:
    assert parsed(DATA.replace(b"\n", b"\r\n"), "x.txt") == PLAIN


def test_nothing_in_it_is_dropped_by_editors() -> None:
    lines = DATA.decode().split("\n")

    assert [line for line in lines if line != line.rstrip()] == []
    assert all(line.isprintable() for line in lines)


def test_a_file_looks_like_this(snapshot: SnapshotAssertion) -> None:
    assert DATA.decode() == snapshot


# ---- damage --------------------------------------------------------------------------------------


def test_a_cut_at_any_byte_is_noticed() -> None:
    for length in range(len(DATA)):
        assert "x.txt" in refused(DATA[:length])


def test_a_flip_of_any_bit_is_noticed() -> None:
    for index in range(len(DATA)):
        for bit in range(8):
            damaged = bytearray(DATA)
            damaged[index] ^= 1 << bit
            assert "x.txt" in refused(bytes(damaged))


@pytest.mark.parametrize("seed", range(20))
def test_damage_of_other_kinds_is_noticed_or_harmless(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(200):
        damaged = bytearray(DATA)
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(len(damaged))
            end = at + dice.choice([0, 1, 64, 512])
            damaged[at:end] = dice.choice([b"", dice.randbytes(3), bytes(end - at), b"\r\n", b"\n"])
        try:
            assert parsed(bytes(damaged), "x.txt") == PLAIN
        except ParameterFileError as error:
            assert "x.txt" in str(error)  # noqa: PT017 - either is right


@given(st.binary())
def test_any_bytes_give_one_kind_of_error(data: bytes) -> None:
    assert refused(data).startswith("x.txt")


@given(st.lists(st.sampled_from(DATA.decode().split("\n")), max_size=12))
def test_any_lines_are_a_document_or_an_error(lines: list[str]) -> None:
    text = "\n".join(["opto parameters, version 1", *lines, ""])
    try:
        parsed(signed(text), "x.txt")
    except ParameterFileError as error:
        assert "x.txt, line " in str(error)  # noqa: PT017 - either is right


@given(st.text())
def test_any_value_is_read_or_an_error(text: str) -> None:
    data = f"opto parameters, version 1\n\n[parameter x]\nvalue: {text}\n".encode(errors="replace")
    try:
        parsed(signed(data.decode().replace("\r", "")), "x.txt")
    except ParameterFileError as error:
        assert "x.txt, line " in str(error)  # noqa: PT017 - either is right


def test_what_is_wrong_is_said() -> None:
    assert "no parameter file" in refused(b"hello\n")
    assert "cut off" in refused(DATA[:-40])
    assert "make its last line 'checksum: none'" in refused(DATA.replace(b"brief", b"crude"))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("[parameter x]\nvalue: 1\n\n[parameter x]\nvalue: 2\n", "line 6: .*twice"),
        ("[parameter x]\nvalue: 1\nvalue: 2\n", "line 5: .*twice"),
        ("[parameter x\n", "no head of a section"),
        ('[parameter "x]\n', "closing quote"),
        ('[parameter "x"y]\n', "after the name"),
        ("value\n", "no field"),
        ("x: text\n   | a\n", "no line of a text"),
        ("x: 1\n  | a\n", "no field, nor part of a value"),
    ],
)
def test_what_is_wrong_in_a_body_is_said_with_its_line(body: str, problem: str) -> None:
    with pytest.raises(ParameterFileError, match=problem):
        parsed(signed("opto parameters, version 1\n\n" + body), "x.txt")


def test_what_is_no_utf8_is_refused() -> None:
    body = b"opto parameters, version 1\nof: \xff\n"
    data = body + b"checksum: none\n"

    assert "UTF-8" in refused(data)


# ---- changes by hand -----------------------------------------------------------------------------


def test_a_file_changed_by_hand_is_read_if_its_last_line_says_so() -> None:
    body = DATA[: DATA.index(b"checksum: sha256")].replace(b"brief", b"short")
    found = parsed(body + b"# a remark\nchecksum: none\n", "x.txt")

    assert found.sections[0].fields["value"] == "Be short.\nBe kind. \n"


# ---- size ----------------------------------------------------------------------------------------


def test_a_file_that_would_be_too_large_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameter_file, "MAX_BYTES", 100)

    with pytest.raises(NotPlainData, match="more than 100"):
        written(PLAIN)


# ---- versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(VERSIONS.iterdir()), ids=lambda path: path.stem)
def test_files_of_each_version_are_read_for_ever(path: Path) -> None:
    found = parsed(path.read_bytes(), path.name)

    assert found == KEPT[path.stem]


def test_what_was_proposed_when_nobody_kept_by_whom_is_of_unknown_origin() -> None:
    text = "opto parameters, version 1\n" + "".join(
        f'\n[parameter {name}]\ntype: "code"\norigin: "{name}"\nvalue: ""\n'
        for name in ("author", "proposed")
    )

    sections = parsed(signed(text), "x.txt").sections
    assert [section.fields["origin"] for section in sections] == ["author", "unknown"]


def test_there_is_a_file_of_each_version() -> None:
    names = {path.stem for path in VERSIONS.iterdir()}

    assert names == {f"version-{number}" for number in range(1, parameter_file.VERSION + 1)}
    assert sorted(parameter_file.MIGRATIONS) == list(range(1, parameter_file.VERSION))


def test_older_versions_are_brought_up_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def second(document: Document) -> Document:
        return document._replace(fields={**document.fields, "second": True})

    def third(document: Document) -> Document:
        assert document.fields["second"]
        return document._replace(fields={**document.fields, "third": True})

    monkeypatch.setattr(parameter_file, "VERSION", 3)
    first = signed(DATA.decode().replace("version 2", "version 1").rpartition("checksum")[0])
    found = parsed(first, "x.txt", {1: second, 2: third})

    assert found.fields == {"of": "agents.Agent", "second": True, "third": True}
    assert found.sections == PLAIN.sections


def test_newer_versions_are_refused_whatever_they_look_like() -> None:
    newer = signed("opto parameters, version 3\nof: @@\n")

    assert "version 3; this release reads up to 2" in refused(newer)
    assert "version 7" in refused(b"opto parameters, version 7\nanything\nsignature: x\n")
    assert "no parameter file" in refused(b"opto parameters, version 99999999999\n")
