"""Which Host headers mean us."""

from __future__ import annotations

import pytest

from bridge.server.gate import is_loopback, is_own_host

PORT = 4711


@pytest.mark.parametrize(
    "header", ["127.0.0.1:4711", "localhost:4711", "LOCALHOST:4711", "[::1]:4711", "127.0.0.2:4711"]
)
def test_addresses_of_this_machine_are_us(header: str) -> None:
    assert is_own_host(header, bound_to="127.0.0.1", port=PORT)


@pytest.mark.parametrize(
    "header",
    [
        "",
        ":",
        ":4711",
        "127.0.0.1",
        "127.0.0.1:80",
        "[::1]",
        "evil.example:4711",
        "localhost.evil.example:4711",
        "127.0.0.1.evil.example:4711",
        "192.168.1.7:4711",
        "127.0.0.1:4711:4711",
    ],
)
def test_other_names_and_ports_are_not(header: str) -> None:
    assert not is_own_host(header, bound_to="127.0.0.1", port=PORT)


def test_beyond_loopback_addresses_are_us_but_foreign_names_are_not() -> None:
    assert is_own_host("192.168.1.7:4711", bound_to="0.0.0.0", port=PORT)
    assert is_own_host("studio.local:4711", bound_to="studio.local", port=PORT)
    assert not is_own_host("evil.example:4711", bound_to="0.0.0.0", port=PORT)


def test_port_80_needs_not_be_said() -> None:
    assert is_own_host("127.0.0.1", bound_to="127.0.0.1", port=80)
    assert is_own_host("[::1]", bound_to="::1", port=80)


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("studio", False)],
)
def test_loopback(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local
