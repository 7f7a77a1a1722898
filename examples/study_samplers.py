"""Which sampler solves most sudokus for its calls, and is the second one really worse?"""

import lab

study = lab.study(
    {
        "name": "orders",
        "task": "sudoku4",
        "cases": ["4"],
        "instances": 200,
        "samplers": {
            "mdlm": {"steps": [2, 4, 16]},
            "threshold": {"threshold": [0.5, 0.9]},
            "entropy_bound": {"gamma": [0.1], "temperature": [0]},
        },
    },
    out="sudoku4-orders",  # run it again: what is there already is not computed again
)

line = "{name:38} {score:6.1%} [{score_low:.1%}, {score_high:.1%}] at {calls:4.1f} calls"
frontier = study.frontier(x="calls", y="score")
for setting in frontier.to_dict("records"):
    print(line.format(**setting))

best = frontier["name"].iloc[-1]
for other in study.summary()["name"].drop_duplicates():
    if other != best:
        (pair,) = study.compare(best, other).to_dict("records")
        print(f"{best} - {other}: {pair['difference']:+.1%}, p = {pair['p_value']:.2g}")
