"""Four samplers on one prompt: what they write and what it costs."""

import lab
from lab.record.metrics import table

SAMPLERS = ("mdlm", "hybrid", "bd3lm", "llada2")

runs = []
for sampler in SAMPLERS:
    runs += lab.run(sampler, "capitals", "The capital of", steps=4, seed=3, rows=2)

for run in runs:
    print(f"{run.sampler:8} row {run.row}: {run.text}")
print(table(runs).to_string(index=False))

lab.save(runs, "runs.csv")  # every step of every row; docs/csv.md says how to read it
