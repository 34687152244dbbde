"""`ced app` from the command line; tests/services/test_app.py shows the page."""

import subprocess
import sys


def test_without_the_extra_it_says_what_to_type() -> None:
    script = "import sys; sys.modules['streamlit'] = None; from ced.cli.main import main; sys.exit(main(['app']))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    line = "ced: error: this needs streamlit, which is not here; pip install 'ced[app]'\n"
    assert (done.returncode, done.stderr) == (2, line)
