from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.conftest import PROVIDER_VARIABLE, NetworkUsed


def test_other_machines_are_out_of_reach() -> None:
    with socket.socket() as sock, pytest.raises(NetworkUsed, match=r"192\.0\.2\.1"):
        sock.connect(("192.0.2.1", 80))


def test_names_of_other_machines_are_not_looked_up() -> None:
    with pytest.raises(NetworkUsed, match=r"example\.org"):
        socket.getaddrinfo("example.org", 80)


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def test_home_is_empty_and_the_working_directory(empty_home: Path) -> None:
    assert list(Path.home().iterdir()) == []
    assert Path.cwd() == Path.home() == empty_home


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "OAI_CONFIG_LIST", "OPTO_MODEL", "https_proxy"])
def test_variables_of_providers_are_recognised(name: str) -> None:
    assert PROVIDER_VARIABLE.fullmatch(name)


def test_no_variable_of_a_provider_is_left() -> None:
    assert [name for name in os.environ if PROVIDER_VARIABLE.fullmatch(name)] == []
