"""What is measured over many runs: spec, runner, results, statistics, frontier, truth, report."""
