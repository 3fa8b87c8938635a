"""Sets logging up as settings.LOGGING says, for Django (LOGGING_CONFIG) and config/celery.py."""

import logging.config
import sys
import threading
from types import TracebackType
from typing import Any

logger = logging.getLogger("config.logs")


def configure(config: dict[str, Any]) -> None:
    """`config` as logging.config.dictConfig has it.

    Where lines are JSON, also warnings and errors that end a process or a thread are lines.
    """
    logging.config.dictConfig(config)
    if is_json(config):
        logging.captureWarnings(True)
        sys.excepthook = _ended_by
        threading.excepthook = _thread_ended_by
        sys.unraisablehook = _nobody_raised


def is_json(config: dict[str, Any]) -> bool:
    """Whether lines are JSON (LOG_FORMAT)."""
    formatter: str = config["handlers"]["console"]["formatter"]
    return formatter == "json"


def _ended_by(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logger.critical("the process ends by an error", exc_info=(kind, error, trace))


def _thread_ended_by(given: threading.ExceptHookArgs) -> None:
    if given.exc_value is None or isinstance(given.exc_value, SystemExit):
        return
    name = given.thread.name if given.thread is not None else "?"
    exc_info = (given.exc_type, given.exc_value, given.exc_traceback)
    logger.error("thread %s ends by an error", name, exc_info=exc_info)


def _nobody_raised(given: "sys.UnraisableHookArgs") -> None:
    """What a finalizer raises, say."""
    if given.exc_value is not None:
        exc_info = (given.exc_type, given.exc_value, given.exc_traceback)
        logger.warning("%s %r", given.err_msg or "ignored in", given.object, exc_info=exc_info)
