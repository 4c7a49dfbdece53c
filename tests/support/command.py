"""The command as it is typed, in a process of its own."""

import os
import subprocess
import sys


def crackcli(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "crackcli", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
        check=False,
    )
