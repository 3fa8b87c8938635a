"""Whether kafka-python is the version whose private parts were read for the short cuts.

With another one everything goes the library's public way, which is slower.
"""

import logging

import kafka

logger = logging.getLogger(__name__)

KNOWN_VERSION = "3.0.12"


def is_known(what: str) -> bool:
    """Whether the installed version is the known one; if not, a warning says that `what` is slow.

    `what` is said of records: "sent", "read".
    """
    known: bool = kafka.__version__ == KNOWN_VERSION
    if not known:
        logger.warning(
            "kafka-python is %s, not %s: records are %s by its slower public way",
            kafka.__version__,
            KNOWN_VERSION,
            what,
        )
    return known
