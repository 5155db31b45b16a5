"""`python -m uscl_med3d.cli`."""

import sys

from uscl_med3d.cli import main

sys.exit(main())
