"""Choose a measure by its name; without one, run them all."""

import importlib
import sys

NAMES = ("catalog",)


def main() -> int:
    name, *options = sys.argv[1:] or ["catalog"]
    if name.startswith("-"):
        name, options = "catalog", sys.argv[1:]
    if name not in NAMES:
        print(f"There is no bench {name!r}. Known: {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    result: int = importlib.import_module(f"benchmarks.{name}").main(options)
    return result


if __name__ == "__main__":
    sys.exit(main())
