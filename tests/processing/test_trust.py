import os
import socket

import pytest

from beamhub.processing import account
from beamhub.processing.account import OwnAccountRefused, refuse_own_account
from beamhub.processing.trust import NotTrusted, check_trusted


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "functions/module.py"
    path.parent.mkdir()
    path.touch(mode=0o644)
    return path


def test_what_only_its_owner_can_write_is_trusted(module):
    check_trusted(module)


@pytest.mark.promise("access")
def test_what_all_can_write_is_not(module):
    module.chmod(0o666)
    with pytest.raises(NotTrusted, match=f"chmod go-w {module}"):
        check_trusted(module)


def test_what_lies_in_a_folder_that_all_can_write_is_not_unless_it_is_sticky(module):
    module.parent.chmod(0o777)
    with pytest.raises(NotTrusted, match="lies in"):
        check_trusted(module)
    module.parent.chmod(0o1777)
    check_trusted(module)


@pytest.mark.root
def test_what_belongs_to_another_account_is_not(module):
    os.chown(module, 12345, 0)
    with pytest.raises(NotTrusted, match="belongs to user 12345"):
        check_trusted(module)


@pytest.mark.root
def test_what_a_group_of_several_can_write_is_not(module):
    os.chown(module, -1, 12345)
    module.chmod(0o664)
    with pytest.raises(NotTrusted, match="other accounts"):
        check_trusted(module)


def test_single_user_runs_functions_in_its_own_account():
    refuse_own_account(single_user=True)


@pytest.mark.root
@pytest.mark.promise("access")
def test_root_refuses_to_run_functions():
    with pytest.raises(OwnAccountRefused, match="which is root"):
        refuse_own_account(single_user=False)


def test_an_account_that_can_read_the_hubs_files_refuses(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jupyterhub_cookie_secret").write_text("x")
    with pytest.raises(OwnAccountRefused, match=r"can read the Hub's file.*single_user: true"):
        refuse_own_account(single_user=False)


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_hubs_own_account_refuses(tmp_path, monkeypatch, family, host):
    own = os.geteuid()
    monkeypatch.setattr(account, "HUB_FILES", ())
    monkeypatch.setattr(os, "geteuid", lambda: own or 1000)
    monkeypatch.setattr(account.shutil, "which", lambda _: None)
    with socket.socket(family) as hub:
        hub.bind((host, 0))
        url = f"http://{f'[{host}]' if ':' in host else host}:{hub.getsockname()[1]}/hub/api"
        assert account.listeners(url) == set()
        refuse_own_account(single_user=False, hub_api=url)
        hub.listen()
        assert account.listeners(url) == {own}
        monkeypatch.setattr(account, "listeners", lambda _: {own or 1000})
        with pytest.raises(OwnAccountRefused, match="which is the Hub's own"):
            refuse_own_account(single_user=False, hub_api=url)


def test_a_hub_on_another_computer_is_in_nobodys_account_here():
    assert account.listeners("http://192.0.2.1:8081/hub/api") == set()
    assert account.listeners("https://hub.invalid/hub/api") == set()
