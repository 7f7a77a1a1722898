"""What runs cost, as ratios: samplers beside their model's calls, and beside other libraries."""
