"""Starts and stops by the API and the pages' buttons; what cannot be done is refused before anything else happens."""

from typing import Any

from jupyterhub import apihandlers
from jupyterhub.apihandlers.users import UserAPIHandler, UserServerAPIHandler

from beamhub.spawner.hublines import choices


class ServerHandler(UserServerAPIHandler):  # type: ignore[misc]
    """Starts and stops one server."""

    def get_json_body(self) -> Any:
        """What was chosen, or None; what is no choice at all is refused with 400."""
        return choices(super().get_json_body())

    async def stop_single_user(self, user: Any, server_name: str = "") -> Any:
        """Stop it, or answer 409 with the reason why it goes on."""
        user.spawners[server_name].check_can_stop()
        return await super().stop_single_user(user, server_name)


class UserHandler(UserAPIHandler):  # type: ignore[misc]
    """Deletes a user, for which the user's server is stopped."""

    async def stop_single_user(self, user: Any, server_name: str = "") -> Any:
        """Stop it, or answer 409 with the reason why it goes on."""
        user.spawners[server_name].check_can_stop()
        return await super().stop_single_user(user, server_name)


def replace_handlers() -> None:
    """Put ours where the Hub's were."""
    ours = {UserServerAPIHandler: ServerHandler, UserAPIHandler: UserHandler}
    routes = apihandlers.default_handlers
    routes[:] = [(route[0], ours.get(route[1], route[1]), *route[2:]) for route in routes]
