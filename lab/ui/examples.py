"""What to try in each suite: prompts to go on from, and templates with holes to fill."""

PROMPT, TEMPLATE = "prompt", "template"

EXAMPLES = {
    "capitals": (
        "The capital of",
        "[MASK]*12",
        "The capital of [MASK] is [MASK].",
        "The capital of [MASK] is Paris.",
        "The capital of France is",
    ),
    "sudoku4": ("[MASK]*16", "1[MASK]*4 4[MASK]*4 4[MASK]*4 1", "1 2 3 4[MASK]*12"),
    "stories": (
        "Once upon a time",
        "Tom and his dog went to the park.",
        "Once upon a time[MASK]*40 They were very happy.[MASK]*8",
    ),
}


def examples(suite: str) -> tuple[str, ...]:
    """Texts to try in a suite; one that always works for an unknown one."""
    return EXAMPLES.get(suite, ("[MASK]*32",))


def kind_of(text: str) -> str:
    """Whether an example is a prompt or a template."""
    return TEMPLATE if "[MASK]" in text else PROMPT
