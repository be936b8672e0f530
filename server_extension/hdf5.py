"""``hdf5/{run}/…``: the content of a run's output in h5grove's words."""

from jupyter_server.auth.decorator import authorized
from tornado import web

from beamhub.server_extension.content import Question
from beamhub.server_extension.handler import RESOURCE, Handler
from beamhub.server_extension.outputs import NotThere
from beamhub.server_extension.reader import CannotRead, Hangs
from beamhub.server_extension.service import Down


class Hdf5(Handler):
    """Meta, attributes, values, statistics and paths of an output."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self, run: str, what: str) -> None:
        """One of them at ``path``; values as h5grove's ``selection``, ``format``, ``dtype`` and ``flatten`` say."""
        ask = self.get_query_argument
        question = Question(
            what, ask("path", "/"), ask("selection", None), ask("format", "json"), ask("dtype", "origin"),
            ask("flatten", "") == "true",
        )  # fmt: skip
        try:
            path = await self.shared.outputs.path(int(run))
            content, headers = await self.shared.reader.read(path, question)
        except (Down, Hangs) as error:
            self.refuse(503, "down", str(error))
        except NotThere as error:
            self.refuse(error.code, "no-output", str(error))
        except CannotRead as error:
            self.refuse(400, "bad-request", f"{what} of {question.path[:200]}: {error}")
        else:
            for name, value in headers.items():
                self.set_header(name, value)
            self.finish(content, set_content_type=headers.get("Content-Type", "application/json"))
