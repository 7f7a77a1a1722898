"""`python -m lab.train`: the trainer, also with `accelerate launch`."""

import sys

from lab.train import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
