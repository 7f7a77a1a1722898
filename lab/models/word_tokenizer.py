"""A real tokenizer for models whose vocabulary is a list of words (or of single characters)."""

import difflib
from collections.abc import Sequence
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import BatchEncoding, PreTrainedTokenizerFast

from lab.models.vocabulary import MASK, characters, check_words


class WordTokenizer(PreTrainedTokenizerFast):
    """A word-level tokenizer that refuses a word it does not have (ValueError) by its name.

    Text is never read as a special token: a typed "<mask>" is one more unknown word. Where there
    is no EOS, the mask stands in as pad: pads are known by position, never by their id.
    """

    def __call__(self, text: str | list[str], *_: Any, **options: Any) -> BatchEncoding:
        """Encode as every fast tokenizer does, once each word is known to be in the vocabulary."""
        for one in [text] if isinstance(text, str) else text:
            self.check(one)
        return super().__call__(text, **options)

    def check(self, text: str) -> None:
        """Raise a ValueError that names the first word which the vocabulary does not have."""
        backend = self.backend_tokenizer
        known = backend.get_vocab(with_added_tokens=False)
        plain = backend.normalizer.normalize_str(text)
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(plain):
            if word not in known or word in self.all_special_tokens:
                raise ValueError(self._unknown(word, known))

    def _unknown(self, word: str, known: dict[str, int]) -> str:
        short = word if len(word) < 40 else word[:37] + "..."
        lower = {name.lower(): name for name in known if name not in self.all_special_tokens}
        near = difflib.get_close_matches(word.lower()[:40], lower, n=1)
        hint = f"did you mean {lower[near[0]]!r}?" if near else "use words of its sentences"
        if len(known) <= 12:
            hint = "it has " + " ".join(sorted(set(lower.values())))
        return f"text must be made of words this model knows, got {short!r}; {hint}"


def word_tokenizer(
    vocabulary: Sequence[str], mask_id: int, eos_id: int | None = None
) -> WordTokenizer:
    """Make the tokenizer whose id i is vocabulary[i] and whose mask is `mask_id` = its size.

    Names of one character each are read character by character (white space is skipped unless it
    is a name itself), others word by word with `.`, `,`, `?`, `!`, `:`, `;` and quotation marks
    apart. The name at `eos_id` is special. ValueError for names that check_words refuses.
    """
    names = [str(name) for name in vocabulary]
    check_words(names, eos_id)
    letters = characters(names, eos_id)
    backend = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}))
    backend.normalizer = normalizers.NFC()
    spaced = not letters or " " not in names
    pieces = pre_tokenizers.Split(Regex(r"[\s\S]" if letters else "[.,?!:;“”]"), "isolated")
    backend.pre_tokenizer = (
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pieces]) if spaced else pieces
    )
    # WordPiece here only joins by spaces and draws punctuation to the word before it.
    joined = [decoders.WordPiece("##", cleanup=not letters), decoders.Fuse()]
    quotes = [decoders.Replace("“ ", "“"), decoders.Replace(" ”", "”")]
    backend.decoder = decoders.Sequence([*joined, *quotes]) if spaced else decoders.Fuse()
    backend.add_special_tokens([AddedToken(MASK, special=True)])
    tokenizer = WordTokenizer(
        tokenizer_object=backend,
        mask_token=MASK,
        eos_token=None if eos_id is None else names[eos_id],
        pad_token=MASK if eos_id is None else names[eos_id],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    if tokenizer.mask_token_id != mask_id:
        raise ValueError(f"mask_id must be the vocabulary's size {len(names)}, got {mask_id}")
    return tokenizer
