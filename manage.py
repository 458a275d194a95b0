#!/usr/bin/env python3
"""Django's command line. People use `./portal manage …`, which starts the services first."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "seaportal.settings")
    from seaportal.command_line import main

    sys.exit(main(sys.argv))
