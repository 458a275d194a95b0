"""Hand a command of `./portal` to the function that carries it out."""

import sys

from seaportal.launch import LaunchError
from seaportal.launch.foreground import manage
from seaportal.launch.start import demo, run
from seaportal.launch.trial import bench, test

COMMANDS = {"demo": demo, "run": run, "manage": manage, "test": test, "bench": bench}


def main() -> int:
    """Run the command; what a person can mend is said in a sentence, not in a trace."""
    try:
        return COMMANDS[sys.argv[1]](sys.argv[2:])
    except LaunchError as error:
        print(f"\n{error}", file=sys.stderr)  # noqa: T201
    except PermissionError as error:
        print(  # noqa: T201
            f"\n{error.filename} cannot be used by this user. Was the portal started as another user before? "
            "Start it as that user again, or give this user the whole folder.",
            file=sys.stderr,
        )
    return 1


if __name__ == "__main__":
    sys.exit(main())
