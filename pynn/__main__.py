"""`python -m pynn`: the same as the console script `pynn`."""

import sys

from pynn.cli import main

sys.exit(main())
