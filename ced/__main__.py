"""`python -m ced`, the same as `ced`."""

import sys

from ced.cli.main import main

sys.exit(main())
