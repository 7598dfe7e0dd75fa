#!/usr/bin/env bash
# Guess: the trainer's num_threads changes how long training takes, and nothing else.
# Seen: one thread and two give models with other scores (as if fp32 sums per thread were added at the end). The same
#   number of threads gives the same bytes.
# Why it matters: "num_threads = cores of this machine" makes the tokenizer, its hash and at times its segmentations
#   depend on the machine.
# Instead: fix num_threads (its default, 16, is fixed already) and write it down with the model.
. "$(dirname "$0")/common.sh"

packages sentencepiece==0.2.1
"$python" - <<'PYTHON'
import io
import random
import sentencepiece
from expect import expect

print("sentencepiece", sentencepiece.__version__)
random.seed(3)
syllables = "ka to mi re su no ha shi lo ve den gar ist um".split()
words = ["".join(random.choice(syllables) for _ in range(random.randint(1, 5))) for _ in range(1000)]
texts = [" ".join(random.choices(words, k=12)) for _ in range(1500)]

def train(threads):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(texts), model_writer=model, vocab_size=400, model_type="unigram",
                                             num_threads=threads, minloglevel=2)
    return model.getvalue()

def scores(model):
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return {processor.id_to_piece(id): processor.get_score(id) for id in range(processor.get_piece_size())}

one, two = train(1), train(2)
expect("the same bytes from one thread, twice", train(1) == one)
expect("the same bytes from two threads, twice", train(2) == two)
both = scores(one).keys() & scores(two).keys()
other = [piece for piece in both if scores(one)[piece] != scores(two)[piece]]
print(f"  {len(other)} of {len(both)} pieces have another score")
expect("the same scores from one thread and two", not other, False)
PYTHON
