"""The tasks, one file each, in the order in which the page and the commands show them."""

from lab.tasks import (
    addition,
    capitals,
    chain,
    hidden,
    latin4,
    lists,
    stories,
    sudoku4,
    sudoku6,
    sudoku9,
)
from lab.tasks.task import Task

TASKS: dict[str, Task] = {
    module.TASK.name: module.TASK
    for module in (
        stories,
        capitals,
        sudoku4,
        sudoku6,
        sudoku9,
        addition,
        lists,
        latin4,
        chain,
        hidden,
    )
}
# What to try with a model that does not ship with the lab, whatever it was trained on.
OTHER_EXAMPLES = (
    "The capital of France is",
    "Once upon a time",
    "The capital of [MASK] is Paris.",
)


def examples(task: str) -> tuple[str, ...]:
    """Texts to try in a task, or with another model."""
    return TASKS[task].examples if task in TASKS else OTHER_EXAMPLES
