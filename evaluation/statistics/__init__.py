"""Statistics of published evaluation: scores, intervals, comparisons and the planning of studies."""
