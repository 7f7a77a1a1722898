"""The options of the shell's commands, a parser for each.

What needs torch is imported only where a sampler parameter or the help is typed: help
and most mistakes take a fraction of a second.
"""

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from samplers.registry import Param, Sampler

SAMPLING = {"greedy": 0.0, "multinomial": 1.0}
EXAMPLE = "python -m lab compare --task capitals --samplers mdlm,llada2 --steps 8 --seed 3"
MEASURES = {
    "runs": "samplers beside their model's calls (default)",
    "draws": "a step whose logits are ready, of --vocabulary tokens",
    "calls": "a model's call beside hand-written torch, of --vocabulary tokens",
    "starts": "imports, help, the first page",
    "dual-cache": "how much faster it is and how far its answers are off, on --model",
}
LOOKED_AT = {
    "draws": ("vocabulary", "device"),
    "calls": ("vocabulary", "device"),
    "starts": (),
    "dual-cache": ("model", "device"),
}
REFUSED = 2  # the exit code of what was not begun
COMMANDS = {
    "compare": "several samplers on one prompt",
    "generate": "one sampler on one model",
    "bench": "what samplers cost beside their model's calls",
    "samplers": "list samplers, their guarantees and parameters",
    "study": "grids of settings, with intervals: see python -m lab study --help",
    "train": "train a model: see python -m lab train --help",
    "evaluate": "measure a trained model: see python -m lab evaluate --help",
}


class Options(argparse.Namespace):
    """What was typed; `params` holds the sampler parameters, as text."""

    params: dict[str, str]


class Parser(argparse.ArgumentParser):
    """No abbreviations (a new option must not change what an old line means), errors in a line."""

    def __init__(self, **settings: Any):
        super().__init__(**settings, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Leave with the message and the way to the help."""
        self.exit(REFUSED, f"{self.prog}: {message}; see {self.prog} --help\n")


def top() -> argparse.ArgumentParser:
    top = Parser(prog="python -m lab", description="The sampler lab from a shell.", epilog=EXAMPLE)
    commands = top.add_subparsers(required=True, metavar="command")
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    return top


def parse(name: str, arguments: Sequence[str]) -> Options:
    """The options of a command, in two steps: the sampler parameters, which are read from the
    registry, only where one or the help is typed.
    """
    parser = _parser(name)
    if {"-h", "--help"} & set(arguments):
        if name != "samplers":
            _add_parameters(parser)
        parser.print_help()
        parser.exit()
    options, rest = parser.parse_known_args(arguments, Options(params={}))
    if rest:
        if name != "samplers":
            _add_parameters(parser)
        options, rest = parser.parse_known_args(arguments, Options())
        if rest:
            flags = [flag for action in parser._actions for flag in action.option_strings]
            near = get_close_matches(rest[0].split("=")[0], flags, 1)
            parser.error(f"no option {rest[0]!r}" + (f"; did you mean {near[0]}?" if near else ""))
        typed = {name.removeprefix("param_"): value for name, value in vars(options).items()
                 if name.startswith("param_") and value is not None}  # fmt: skip
        options.params = typed
    if name == "bench" and options.measure != "runs":
        _refuse_unused(parser, options)
    if name == "bench" and options.measure == "runs" and options.size and not options.vocabulary:
        parser.error("--size goes with --vocabulary, which asks for random weights")
    if name != "samplers" and options.dual_cache and options.model is None:
        parser.error("--dual-cache goes with --model, which says whose")
    return options


def _refuse_unused(parser: Parser, options: Options) -> None:
    """An error for an option that the measure would not look at."""
    used = ("repeats", "csv", "parquet", *LOOKED_AT[options.measure])
    for name, value in vars(options).items():
        if name in (*used, "measure") or value in (None, {}, parser.get_default(name)):
            continue
        typed = next(iter(value)) if name == "params" else name.removeprefix("param_")
        flags = ", ".join(f"--{flag}" for flag in used)
        parser.error(f"--{typed.replace('_', '-')} is not looked at by --measure "
                     f"{options.measure}; it takes {flags}")  # fmt: skip


def _parser(name: str) -> Parser:
    parser = Parser(prog=f"python -m lab {name}", description=COMMANDS[name], epilog=EXAMPLE,
                    add_help=False)  # fmt: skip
    add = parser.add_argument
    add("-h", "--help", action="store_true", help="show this message and exit")
    if name == "samplers":
        return parser
    if name == "generate":
        add("--sampler", required=True, help="its name; python -m lab samplers lists them")
    else:
        everyone = "every one, on a model that ships" if name == "bench" else "all that fit"
        add("--samplers", help=f"names, comma-separated (default: {everyone})")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--task", help="its models, each sampler the one that fits it "
                       "(default: the first task)")  # fmt: skip
    which.add_argument("--model", help="one model: its name, a checkpoint folder or owner/name")
    add("--device", help="cpu, cuda, cuda:1 or auto: where the model and the run are "
        "(default: cpu; of the hub's, auto)")  # fmt: skip
    add("--dual-cache", action="store_true", help="approximate answers of --model, faster for "
        "samplers that fill a block after the other")  # fmt: skip
    add("--prompt", help="text to continue")
    add("--template", help="text with [MASK] or [MASK]*8 as masked positions")
    add("--gen-length", type=_number, help="tokens to generate")
    add("--draft", help="what stands there at first, for a sampler that edits or remasks")
    add("--seed", type=_number, default=0, help="the same seed gives the same tokens")
    add("--rows", type=_number, default=1, help="copies, each with its own noise")
    add("--preset", help="a sampler's named settings")
    add("--sampling", choices=list(SAMPLING), help="short for --temperature 0 or 1")
    if name == "bench":
        add("--measure", default="runs", choices=list(MEASURES),
            help="; ".join(f"{one}: {text}" for one, text in MEASURES.items()))  # fmt: skip
        which.add_argument("--vocabulary", type=_number, metavar="TOKENS", help="random weights "
                           "with so many tokens in place of a trained model")  # fmt: skip
        add("--size", help="of those weights: small (6 layers, width 256; default), or a Qwen3's: "
            "0.6B, 4B, 8B")  # fmt: skip
        add(
            "--prompt-length", type=_number, metavar="TOKENS", help="so many tokens drawn as prompt"
        )
        add("--against", help="another library's way beside it: diffusers or transformers")
        add("--repeats", type=_number, default=5, help="how often each side is timed")
        for kind in ("csv", "parquet"):
            add(f"--{kind}", metavar="FILE", help="write the table and the machine's facts")
    else:
        add("--csv", metavar="FILE", help="write the trajectories")
        add("--json", metavar="FILE", help="write the trajectories")
    return parser


def _add_parameters(parser: Parser) -> None:
    """A flag for every parameter of any sampler."""
    import samplers

    owners: dict[str, list[tuple[Sampler, Param]]] = {}
    for sampler in samplers.SAMPLERS.values():
        for param in sampler.params:
            owners.setdefault(param.name, []).append((sampler, param))
    group = parser.add_argument_group("sampler parameters (in brackets: the samplers that have it)")
    for name, those in owners.items():
        first, names = those[0][1], ", ".join(sampler.name for sampler, _ in those)
        group.add_argument(
            "--" + name.replace("_", "-"), dest="param_" + name, metavar="VALUE",
            help=f"{first.rule()}. {first.help} [{names}]".replace("%", "%%"),
        )  # fmt: skip


def _number(text: str) -> Any:
    # Left as text where it is no number, so that one check words the error.
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _value(text: str) -> Any:
    words = {"none": None, "off": None, "true": True, "false": False}
    return words[text.lower()] if text.lower() in words else _number(text)


def sampler_names(options: Options) -> list[str]:
    """The samplers that were typed, in that order."""
    return [name.strip() for name in options.samplers.split(",")]


def sampler_params(options: Options) -> dict[str, Any]:
    params = {name: _value(text) for name, text in options.params.items()}
    if options.sampling is not None:
        if "temperature" in params:
            raise ValueError("--sampling is short for a temperature: leave one of the two out")
        params["temperature"] = SAMPLING[options.sampling]
    return params
