"""Why a Stockroom can't start or go on."""


class StackError(RuntimeError):
    """The stack can't start or go on. The text is for the user and says what to do."""


class CommandFailed(StackError):
    """A command of manage.py ended with another exit code than 0."""

    def __init__(self, text: str, code: int) -> None:
        """`code` is below 0 where a signal of that number ended it."""
        super().__init__(text)
        self.code = code
