"""What to try in each task: prompts to go on from, and templates with masked positions to fill."""

PROMPT, TEMPLATE = "prompt", "template"

EXAMPLES = {
    "capitals": (
        "The capital of",
        "[MASK]*12",
        "The capital of [MASK] is [MASK].",
        "The capital of [MASK] is Paris.",
        "[MASK]*5 Lima.",
        "The capital of France is",
    ),
    "sudoku4": ("[MASK]*16", "1[MASK]*4 4[MASK]*4 4[MASK]*4 1", "1 2 3 4[MASK]*12"),
    # Held-out puzzles with 12 of 36, 40 and 30 of 81 cells given; then a grid from nothing.
    "sudoku6": (
        "4 6[MASK] 1[MASK]*9 4 5[MASK]*5 6[MASK] 2[MASK] 6[MASK]*2 2 4 3[MASK]*2 4[MASK]*3",
        "[MASK]*36",
    ),
    "sudoku9": (
        "9[MASK] 5[MASK] 2[MASK]*4 6[MASK]*5 9 2 3 2 8[MASK]*2 7 9 6[MASK] 5 4 2 3[MASK] 9[MASK]*3 "
        "7 8[MASK] 6[MASK]*3 2[MASK]*2 7[MASK] 9[MASK]*6 5[MASK] 8 9 1 3[MASK]*4 7 2 5[MASK] 4 8 9"
        "[MASK] 1[MASK]*2 2 8[MASK] 3 5 6",
        "[MASK] 2[MASK]*2 4[MASK]*2 1 9[MASK]*6 6 2 4 6 1 4[MASK]*3 3[MASK]*4 1[MASK]*5 3 2[MASK]*4"
        " 3[MASK]*2 6 8[MASK]*4 5 2[MASK]*3 3[MASK]*2 8[MASK]*2 9[MASK]*2 5[MASK] 3[MASK] 7 4 6"
        "[MASK]*4 5[MASK]*2 8[MASK] 1",
        "[MASK]*81",
    ),
    # Sums that never trained: a carry over six places, and one without a carry.
    "addition": ("09140298+47859704=[MASK]*9", "04293211+80703437=[MASK]*9"),
    "stories": (
        "Once upon a time",
        "Tom and his dog went to the park.",
        "Once upon a time[MASK]*40 They were very happy.[MASK]*8",
        "[MASK]*32 So the dog went home to sleep.",
    ),
}


# For a model that does not ship with the lab, whatever it was trained on.
OTHER = ("The capital of France is", "Once upon a time", "The capital of [MASK] is Paris.")


def examples(task: str) -> tuple[str, ...]:
    """Texts to try in a task, or with another model."""
    return EXAMPLES.get(task, OTHER)


def kind_of(text: str) -> str:
    """Whether an example is a prompt or a template."""
    return TEMPLATE if "[MASK]" in text else PROMPT
