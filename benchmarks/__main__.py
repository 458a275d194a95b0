"""Choose a measure by its name; without one, run them all."""

import importlib
import sys

NAMES = ("catalog", "transfer", "queue", "export", "search", "bundle", "player")


def main() -> int:
    if len(sys.argv) < 2:
        return max(_run(name, []) for name in NAMES)
    name, *options = sys.argv[1:]
    if name not in NAMES:
        print(f"There is no bench {name!r}. Known: {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    return _run(name, options)


def _run(name: str, options: list[str]) -> int:
    result: int = importlib.import_module(f"benchmarks.{name}").main(options)
    return result


if __name__ == "__main__":
    sys.exit(main())
