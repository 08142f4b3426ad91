"""How fast negdiag is, beside other programs: `python -m benchmarks.run`. Not part of the package."""
