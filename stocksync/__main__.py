"""`python -m stocksync INPUT OUTPUT`: the engine without the web application."""

import sys

from stocksync.engine.command_line import main

if __name__ == "__main__":
    sys.exit(main())
