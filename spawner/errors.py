"""What can go wrong with starting a server, as sentences that may be shown to the person who asked."""


class SpawnerError(Exception):
    """Something about starting servers; ``str()`` says what happened and what to do, in plain words."""


class Refused(SpawnerError):
    """What was asked for cannot be had: an unknown profile, a missing group, more cores than there are."""


class StartFailed(SpawnerError):
    """The server did not come up; the message ends with the last lines of its log where there are any."""


class CannotLaunch(SpawnerError):
    """The site could not even be asked to start it: a full or forbidden folder, no account, no program.

    A word for the kind of it may follow the sentence.
    """

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""
