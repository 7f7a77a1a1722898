"""`python -m lab`: see lab.cli."""

import io
import sys

from lab.cli import main

if __name__ == "__main__":
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):  # a terminal may lack what a model can write
            output.reconfigure(errors="backslashreplace")
    sys.exit(main())
