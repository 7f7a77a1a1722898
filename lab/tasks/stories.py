"""Small children's stories: text that nobody can check, judged by an autoregressive model."""

from lab.tasks.task import CardText, Task

TASK = Task(
    name="stories",
    title="Stories",
    summary="Models of about 4 M parameters, trained on one small corpus of children's stories. "
    "What a sampler costs and how its text reads; no checker knows the truth, the task's "
    "autoregressive model judges.",
    examples=(
        "Once upon a time",
        "Tom and his dog went to the park.",
        "Once upon a time[MASK]*40 They were very happy.[MASK]*8",
        "[MASK]*32 So the dog went home to sleep.",
    ),
    models=(
        "stories-mdlm",
        "stories-edit",  # before block: llada2 may edit, which a model must have learned
        "stories-block",
        "stories-hybrid",
        "stories-ar",
        "stories-draft",
    ),
    judge="stories-ar",
    card=CardText(
        "small children's stories",
        "",
        "It writes short stories in the words of a small child, loses the thread after a sentence "
        "or two, knows no facts, follows no instructions and speaks English only. It may repeat "
        "its corpus and the stereotypes in it. Not for any use in which a reader relies on the "
        "text.",
    ),
)
