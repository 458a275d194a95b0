"""Pages over a large catalog: the whole HTTP response of each kind of question, and its SQL alone, in one process.

The limits are those of a page that feels instant: 30 ms at the 95th percentile for what people do all day, 100 ms for the
rest. The SQL is asked for again with other values, so it is read from the index and not from the memory of the same question.
"""

import argparse
import statistics

from benchmarks.indexes import reason
from benchmarks.orders import Process

INSTANT = ("newest page", "exact contact", "8-digit prefix", "7-digit substring", "day + media")
# The same for people who see nothing but tenants that ended long ago.
SEEN = (
    "newest page",
    "8-digit prefix",
    "day + media",
    "largest first",
    "last to arrive",
    "facets of everything",
    "overview",
)
WHO = ("sees one ended tenant", "sees two ended tenants")
REST = (
    "agent + month",
    "deep keyset page",
    "500-ID look-up",
    "at risk",
    "largest first",
    "last to arrive",
    "facets of a day",
    "facets of everything",
    "overview",
)


def main(options: list[str]) -> int:
    """Measure and print; exit 0 when every page stays below its limit."""
    parser = argparse.ArgumentParser(prog="./portal bench search", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--requests", type=int, default=60, help="of each kind")
    parser.add_argument(
        "--keep", action="store_true", help="measure what an earlier run of this bench has filled"
    )
    wanted = parser.parse_args(options)
    slow = []
    with Process("benchmarks.searcher") as searcher:
        searcher.ask("prepare")
        if not wanted.keep:
            print(f"Filling {wanted.rows:,} recordings …", flush=True)
            print(f"Filled in {searcher.ask('fill', rows=wanted.rows)['seconds']:.0f} s.\n", flush=True)
        print(f"{'':20}{'whole response, ms':>26}{'limit':>8}{'SQL, ms':>20}{'queries':>9}")
        print(f"{'':20}{'p50':>8}{'p95':>9}{'max':>9}{'p95':>8}{'p50':>10}{'p95':>10}")
        for who, name in (
            *(("", name) for name in (*INSTANT, *REST)),
            *((who, name) for who in WHO for name in SEEN),
        ):
            limit = 30 if name in INSTANT else 100
            if name == SEEN[0] and who:
                print(f"\nSomebody who {who}:")
            told = searcher.ask("measure", name=name, requests=wanted.requests, who=who)
            whole, sql = told["whole"], told["sql"]
            p95 = _p95(whole)
            if p95 > limit:
                slow.append(f"{name} ({who})" if who else name)
            print(
                f"{name:20}{statistics.median(whole):8.1f}{p95:9.1f}{whole[-1]:9.1f}{limit:8}"
                f"{statistics.median(sql):10.1f}{_p95(sql):10.1f}{told['queries']:9}",
                flush=True,
            )
        sizes = searcher.ask("sizes")
    print(f"\nThe table takes {sizes['table'] / 1e6:,.0f} MB, its indexes:")
    for name, size in sizes["indexes"]:
        print(f"  {name:32}{size / 1e6:10,.0f} MB  {reason(name)}")
    if slow:
        print(f"\nAbove their limit: {', '.join(slow)}.")
    return 1 if slow else 0


def _p95(values: list[float]) -> float:
    """Return the 95th percentile of sorted values."""
    return values[min(len(values) - 1, int(len(values) * 0.95))]
