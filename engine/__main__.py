"""`python -m engine` is `mailer`."""

from engine.cli import main

main()
