"""Workers: who trains the trials. The coordinator knows `protocol` and nothing else of them.

`inline` trains in this process, `ray` in actors on a cluster. Import them by module: each brings its vendor.
"""

from sweeper.workers.protocol import Advanced, Lost, Slot, Workers

__all__ = ["Advanced", "Lost", "Slot", "Workers"]
