"""Starts and stops by the API and the pages' buttons; what cannot be done is refused before anything else happens."""

from typing import Any

from jupyterhub import apihandlers
from jupyterhub.apihandlers.users import UserAPIHandler, UserServerAPIHandler
from jupyterhub.scopes import needs_scope
from tornado import web

from beamhub.spawner.hublines import choices

UNDER_WAY = {None: "was started meanwhile", "spawn": "is starting", "stop": "is stopping"}


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
    """Deletes a user, for which all of the user's servers are stopped."""

    @needs_scope("delete:users")  # type: ignore[untyped-decorator]
    async def delete(self, user_name: str) -> None:
        """Delete the user, or answer 409 with the reason why a server of the user's cannot be stopped (yet)."""
        user = self.find_user(user_name)
        if user is not None and user.name != self.current_user.name:
            await self._stop_all([user.spawners[name] for name in user.orm_user.orm_spawners])
            for name in user.orm_user.orm_spawners:  # started meanwhile; until the Hub goes on nothing more can be
                _check_settled(user.spawners[name], ended=True)
        await super().delete(user_name)

    async def _stop_all(self, spawners: list[Any]) -> None:
        for spawner in spawners:
            spawner.check_can_stop()
            _check_settled(spawner)
        for spawner in spawners:
            if spawner.ready:
                await self.stop_single_user(spawner.user, spawner.name)
                _check_settled(spawner)


def _check_settled(spawner: Any, ended: bool = False) -> None:
    """See that nothing is under way with a server, of which the Hub would forget the user and keep the job.

    Args:
        spawner: the server's.
        ended: it should have ended, too.
    """
    if spawner.pending or (ended and spawner.ready):
        what = UNDER_WAY.get(spawner.pending, "is being looked for")
        which = f"the server {spawner.name} of {spawner.user.name}" if spawner.name else f"{spawner.user.name}'s server"
        raise web.HTTPError(409, f"{which} {what}. Wait until that is over, or stop it, then try again.")


def replace_handlers() -> None:
    """Put ours where the Hub's were."""
    ours = {UserServerAPIHandler: ServerHandler, UserAPIHandler: UserHandler}
    routes = apihandlers.default_handlers
    routes[:] = [(route[0], ours.get(route[1], route[1]), *route[2:]) for route in routes]
