"""The modules beside this file are imported by name, also by `fuzz.py` as a script."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
