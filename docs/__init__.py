"""What prints the generated parts of README.md and docs/."""
