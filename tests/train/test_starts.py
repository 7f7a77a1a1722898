"""What training starts from: data sets of the hub, a masked language model."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoModelForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    PreTrainedTokenizerFast,
)

import lab
from lab.train import evaluate, main
from tests.kit import fake_hub, stories
from tests.kit.stories import STORIES, command, refused

ROOT = Path(__file__).parents[2]


def lines(texts):
    """One JSON object a line, as data sets of the hub are kept."""
    return "\n".join(json.dumps({"text": text}) for text in texts).encode()


def test_hub_data_set_trains_by_its_name(tmp_path):
    work = tmp_path / "w"
    with fake_hub.serve() as hub:
        hub.repositories["datasets/tiny/stories"] = {
            "train.jsonl": lines(STORIES[:24]), "validation.jsonl": lines(STORIES[24:]),
        }  # fmt: skip
        hub.facts["datasets/tiny/stories"] = {}
        environment = {
            **os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        right = command("tiny/stories", work, "--steps", "2")
        wrong = [*command("tiny/stories", tmp_path / "v", "--steps", "2"), "--field", "story"]
        both = f"from lab.train import main; main({wrong!r}); raise SystemExit(main({right!r}))"
        run = subprocess.run(
            [sys.executable, "-c", both], cwd=ROOT, env=environment, capture_output=True, text=True
        )
    assert run.returncode == 0, run.stderr
    assert "no column 'story'; there are text" in run.stderr
    assert not (tmp_path / "v").exists()
    (stage,) = json.loads((stories.folder(work) / "training.json").read_text())
    assert (stage["stories"], stage["held_out"]) == (24, 6), "validation never trains"
    assert stage["data"] == "tiny/stories"
    assert "--data tiny/stories" in (stories.folder(work) / "README.md").read_text()


def test_data_set_that_hub_does_not_give_is_refused(tmp_path, capsys):
    error = refused(capsys, command("nobody/nothing", tmp_path / "w", "--steps", "1"))
    assert "got 'nobody/nothing'" in error and "name a .jsonl or .txt file" in error
    assert not (tmp_path / "w").exists()


def distilbert(folder):
    """A tiny random DistilBERT with a WordPiece tokenizer of the stories, as the hub has them."""
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    backend.train_from_iterator(STORIES, trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=special, show_progress=False))  # fmt: skip
    pad, unknown, first, last, mask = special
    words = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token=pad, unk_token=unknown, cls_token=first, sep_token=last,
        mask_token=mask, clean_up_tokenization_spaces=False,
    )  # fmt: skip
    words.save_pretrained(folder)
    config = DistilBertConfig(
        vocab_size=len(words), dim=32, hidden_dim=48, n_layers=1, n_heads=2,
        max_position_embeddings=64, pad_token_id=0, dropout=0.0, attention_dropout=0.0,
    )  # fmt: skip
    DistilBertForMaskedLM(config).save_pretrained(folder)
    return words


def test_masked_language_model_continues(tmp_path, capsys):
    data = stories.write(tmp_path / "stories.jsonl")
    start, work = tmp_path / "bert", tmp_path / "w"
    distilbert(start)
    more = ("--steps", "60", "--init-from", str(start), "--tokenizer", str(start))
    more += ("--learning-rate", "0.01", "--ema", "0")
    refusal = refused(capsys, command(data, work, *more, "--objective", "bd3lm"))
    assert "--objective mdlm, got bd3lm" in refusal
    assert not work.exists()
    assert main(command(data, work, *more)) == 0
    out = stories.folder(work)
    network = AutoModelForMaskedLM.from_pretrained(out)
    assert isinstance(network, DistilBertForMaskedLM)
    loss = [float(line.split(",")[3]) for line in (work / "log.csv").read_text().splitlines()[1:]]
    assert loss[-1] < loss[0] - 0.3
    model = lab.load(str(out))
    assert model.card.mask_id == 4 and model.card.attention == "full"
    (written,) = lab.run("llada", model, "One day, Tom saw a", gen_length=8, steps=8)
    assert len(written.tokens) == 9 and written.text
    flags = ("--data", str(data), "--length", "16", "--tokenizer", str(start))
    assert evaluate.main([str(out), *flags]) == 0
    assert "| MDLM | " in capsys.readouterr().out
