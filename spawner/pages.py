"""The Hub's pages that are ours: the start page never starts by a link, and shows a refused form again as it was."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from jupyterhub import handlers as hub_handlers
from jupyterhub.handlers.pages import SpawnHandler

from beamhub.spawner import form

RESERVED = ("next", "display_name", "_xsrf")


class StartHandler(SpawnHandler):  # type: ignore[misc]
    """The start page."""

    filled: dict[str, Any] | None = None
    server_name = ""

    def _get(self, user_name: str, server_name: str, *more: Any, **kwargs: Any) -> Any:
        """Show the form; options in the address fill it in, and start nothing."""
        arguments = self.request.query_arguments
        given = {name: [value.decode(errors="replace") for value in arguments.pop(name)]
                 for name in list(arguments) if name not in RESERVED}  # fmt: skip
        prefixed = {name.removeprefix("opt-"): values for name, values in given.items() if name.startswith("opt-")}
        if chosen := prefixed or given:
            self.filled = form.read(chosen)
        self.server_name = server_name or ""
        return super()._get(user_name, server_name, *more, **kwargs)

    def _post(self, user_name: str, server_name: str, *more: Any, **kwargs: Any) -> Any:
        """Start what was chosen; what is refused is shown again."""
        body = {n: [v.decode(errors="replace") for v in values] for n, values in self.request.body_arguments.items()}
        self.filled = form.read(body)
        self.server_name = server_name or ""
        return super()._post(user_name, server_name, *more, **kwargs)

    def _get_pending_url(self, user: Any, server_name: str) -> str:
        """The progress page, without the form's token in its address."""
        parts = urlsplit(super()._get_pending_url(user, server_name))
        kept = [(name, value) for name, value in parse_qsl(parts.query) if name != "_xsrf"]
        return str(urlunsplit(parts._replace(query=urlencode(kept))))

    async def _render_form(
        self, for_user: Any, spawner_options_form: str, message: str = "", html_message: str = ""
    ) -> str:
        """The page with the form of the right server, filled in with what this person chose."""
        spawner = for_user.get_spawner(self.server_name, replace_failed=True)
        show = getattr(spawner, "start_form", None)
        html = show(self.filled) if show else spawner_options_form
        if show and self.filled and not (message or html_message) and (message := spawner.refusal(self.filled)):
            self.set_status(400)  # a link that asks for what cannot be
        page: str = await super()._render_form(for_user, html, message, html_message)
        return page


def replace_handlers() -> None:
    """Put our start page where the Hub's was."""
    routes = hub_handlers.default_handlers
    routes[:] = [(route[0], StartHandler, *route[2:]) if route[1] is SpawnHandler else route for route in routes]


def template_path() -> Path:
    """Where our templates lie; they come before the Hub's."""
    return form.TEMPLATES
