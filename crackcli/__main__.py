"""Entry point of ``python -m crackcli``."""

from crackcli.cli import main

main()
