// The merges of CLIP's vocabulary, a pair of symbols a line, as OpenAI published them (github.com/openai/CLIP, MIT
// licence): models in one file come without a tokenizer.
#pragma once

/// UTF-8, without a zero at the end.
const char *clip_merges(void);
/// In bytes.
long clip_merges_count(void);
