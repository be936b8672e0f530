from beamhub.spawner.compute import listens_of
from beamhub.spawner.sites.local import LocalSite
from beamhub.spawner.sites.site import Site


def test_a_server_is_believed_whose_kind_of_sites_is_not_installed_any_more():
    assert listens_of("local") is LocalSite.listens
    assert listens_of("gone") is listens_of("") is Site.listens
